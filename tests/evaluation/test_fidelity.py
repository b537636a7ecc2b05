"""Divergence from the float32 original: ours and llama.cpp on the same files (benchmarks/fidelity.py, shortened)."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from belle_edge import _core

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
MAX_RATIO = 1.05  # of llama.cpp's mean KL
N_ITEMS = 12


@pytest.fixture(scope="module")
def fidelity() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fidelity", ROOT / "benchmarks" / "fidelity.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["belle-tiny-zh", "belle-tiny-zh-outliers"])
@pytest.mark.usefixtures("llama_cpp")
def test_divergence_is_no_worse_than_llama_cpp(
    fidelity: ModuleType, test_data: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("transformers")
    items = json.loads((test_data / "models" / "belle-tiny-zh" / "val.json").read_text("utf-8"))[:N_ITEMS]
    isas = [tier["name"] for tier in _core.isa_tiers() if tier["supported"]]
    if name == "belle-tiny-zh":
        isas.remove(
            "scalar"
        )  # which takes longest, and computes what block32 does elsewhere: one model shows it
    results = fidelity.measure(
        test_data / "models" / name,
        items,
        types=["f32", "q8_0", "q4_0"],
        isas=isas,
        max_tokens=96,
    )
    for (type_name, engine), result in results.items():
        assert result.n_tokens > 500
        peer = results[type_name, "llama.cpp"].kl_mean
        if engine != "llama.cpp":
            assert result.kl_mean <= MAX_RATIO * peer, (
                f"{name} {type_name} {engine}: {result.kl_mean} against {peer}"
            )
        if type_name == "f32":
            assert result.top1_agreement > 0.995

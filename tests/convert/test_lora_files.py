"""Which files an adapter's weights are taken from, and what an adapter that does nothing leads to."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from belle_edge.convert import ConversionReport, convert

from .adapters import (
    PROJECTIONS,
    llama_modules,
    load_state,
    random_factors,
    tensors_of,
    with_deltas,
    write_adapter,
    write_config,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("torch")]
Q = "self_attn.q_proj"
Check = Callable[..., ConversionReport]


@pytest.mark.parametrize(
    "first", ["adapter_model.bin", "adapter_model.safetensors", None, "0 bytes", "no values"]
)
def test_weights_in_a_training_checkpoint(
    make_llama: Any, tmp_path: Path, check_merged: Check, first: str | None
) -> None:
    """BELLE published adapters whose adapter_model.bin is empty: the latest checkpoint that has weights is taken."""
    import torch

    base = make_llama()
    modules = llama_modules(base, (Q, "mlp.up_proj"))
    pairs = random_factors(base, modules)
    adapter = tmp_path / "lora"
    names = ("base_model.model.{}.lora_A.default.weight", "base_model.model.{}.lora_B.default.weight")
    for step, seed in (("900", 1), ("1000", 0)):
        factors = random_factors(base, modules, seed=seed)
        write_adapter(adapter, factors, file=f"checkpoint-{step}/pytorch_model.bin", names=names)
    (adapter / "checkpoint-2000").mkdir()
    torch.save({}, adapter / "checkpoint-2000" / "pytorch_model.bin")
    (adapter / "checkpoint-last").mkdir()
    if first == "0 bytes":
        (adapter / "adapter_model.bin").touch()
    elif first == "no values":
        empty = {name: (torch.zeros(0), torch.zeros(0)) for name in modules}
        write_adapter(adapter, empty, file="adapter_model.bin")
    elif first:
        write_adapter(adapter, {}, file=first)
    report = check_merged(base, adapter, with_deltas(base, pairs, 2.0))
    assert any("checkpoint-1000/pytorch_model.bin were taken" in warning for warning in report.warnings)


def test_adapter_that_changes_nothing(make_llama: Any, tmp_path: Path) -> None:
    base = make_llama()
    pairs = random_factors(base, llama_modules(base))
    zeros = write_adapter(tmp_path / "zeros", {name: (a, b * 0) for name, (a, b) in pairs.items()})
    full = write_adapter(tmp_path / "full", pairs)
    plain = convert(base, tmp_path / "plain.gguf", type="f32")
    for lora, reason in ((zeros, "every product"), ((full, 0), "its weight is 0")):
        report = convert(base, tmp_path / "out.gguf", type="f32", lora=[lora], force=True)
        assert any(f"changes nothing: {reason}" in warning for warning in report.warnings)
        found, expected = tensors_of(tmp_path / "out.gguf"), tensors_of(tmp_path / "plain.gguf")
        assert all(np.array_equal(found[name], expected[name]) for name in expected)
    assert not any("changes nothing" in warning for warning in plain.warnings)
    report = convert(base, lora=[full], dry_run=True)
    assert not any("changes nothing" in warning for warning in report.warnings)


def test_base_in_the_same_file_names(make_llama: Any, tmp_path: Path, check_merged: Check) -> None:
    """A base in pytorch_model.bin, and two adapters whose weights lie in files of this name too."""
    import torch

    base = make_llama()
    torch.save(load_state(base), base / "pytorch_model.bin")
    pairs = random_factors(base, llama_modules(base, PROJECTIONS[:2]))
    head = torch.randn(400, 64)
    lora = []
    for name in ("one", "two"):
        adapter = tmp_path / name
        others = {"base_model.model.lm_head.weight": head} if name == "two" else {}
        write_adapter(adapter, pairs, others=others, file="checkpoint-1/pytorch_model.bin")
        write_config(adapter)
        lora.append(adapter)
    only_bin = tmp_path / "bin"
    shutil.copytree(base, only_bin, ignore=shutil.ignore_patterns("*.safetensors"))
    report = check_merged(base, lora, with_deltas(base, pairs, 4.0) | {"lm_head.weight": head})
    convert(only_bin, tmp_path / "from-bin.gguf", type="f32", lora=lora)
    found, expected = tensors_of(tmp_path / "from-bin.gguf"), tensors_of(tmp_path / "merged.gguf")
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
    assert report.architecture == "llama"

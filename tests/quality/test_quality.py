"""Methods of rounding by type (benchmarks/quality.py, shortened): what is held out, made, measured and drawn."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from belle_edge import _core

from ..story_model import CORPUS

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
METHODS = ("nearest", "llama.cpp", "llama.cpp+imatrix")


@pytest.fixture(autouse=True)
def _benchmarks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield
    for name in [name for name in sys.modules if name.partition("_")[0] in ("fidelity", "quality")]:
        sys.modules.pop(name)


def imatrix(gguf: Path, target: Path) -> Path:
    """llama.cpp's old format, of which each entry is name, calls and values; columns matter more and more."""
    matrices = [tensor for tensor in _core.GgufFile(gguf).tensors() if len(tensor.shape) == 2]
    with target.open("wb") as file:
        file.write(np.int32(len(matrices)).tobytes())
        for tensor in matrices:
            name, columns = tensor.name.encode(), np.linspace(0.1, 10, tensor.shape[1], dtype=np.float32)
            file.write(np.int32(len(name)).tobytes() + name + np.int32([1, columns.size]).tobytes())
            file.write(columns.tobytes())
    return target


@pytest.mark.slow
@pytest.mark.usefixtures("llama_cpp")
def test_each_method_makes_the_same_types_and_other_bytes(
    converted: Callable[[str, str], Path], tmp_path: Path
) -> None:
    """On dequantized weights, whose distance from themselves is next to nothing."""
    files, texts = importlib.import_module("quality_files"), importlib.import_module("quality_texts")
    quality: ModuleType = importlib.import_module("quality")
    original = converted("bloom", "q8_0")
    passages = tmp_path / "passages.txt"
    passages.write_text(CORPUS, encoding="utf-8")
    moments = imatrix(original, tmp_path / "imatrix.dat")
    workshop = files.Workshop(original, tmp_path, files.Calibration(moments=moments))
    made = [workshop.make(method, "q4_0") for method in METHODS]
    assert len({file.tensor_bytes for file in made}) == 1
    assert len({file.path.read_bytes() for file in made}) == 3
    assert all(file.seconds is not None for file in made)
    made.append(quality.given_file(f"original:q8_0={original}"))

    sets = [texts.TextReader(original, seen=[], n_tokens=128, max_tokens=64).read(f"story={passages}")]
    results = list(quality.measure(made, sets, original, tmp_path))
    engines = ("native", "llama.cpp")
    assert [(r.file.method, r.engine) for r in results] == [
        (method, engine) for method in (*METHODS, "original") for engine in engines
    ]
    kl = [result.divergence.kl_mean for result in results]
    assert min(kl[:6]) > 10 * max(kl[6:])
    report = {"model": "tiny", "results": [result.row() for result in results]}
    ours, peers = importlib.import_module("quality_tables").tables(report)
    assert ours.startswith("tiny, story, by our engine: 128 tokens;")
    assert peers.startswith("tiny, story, by llama.cpp: 128 tokens;")
    size = f"{made[0].tensor_bytes / 1e6:.2f}"
    assert f"| q4_0 | llama.cpp+imatrix | {size} | {kl[4]:.5f} | 1.00 | " in ours
    assert f"| q4_0 | nearest | {size} | {kl[1]:.5f} | {kl[1] / kl[5]:.2f} | " in peers
    assert "| q8_0 | original | " in ours


def test_other_types_are_refused(converted: Callable[[str, str], Path]) -> None:
    files = importlib.import_module("quality_files")
    with pytest.raises(ValueError, match=r"token_embd\.weight is f16 in .* and q8_0 in"):
        files.check_same_types(converted("bloom", "f16"), converted("bloom", "q8_0"))


def test_what_calibration_saw_is_no_text(converted: Callable[[str, str], Path], tmp_path: Path) -> None:
    texts = importlib.import_module("quality_texts")
    seen, held_out = tmp_path / "seen.jsonl", tmp_path / "held_out.jsonl"
    seen.write_text(json.dumps({"instruction": "你好", "output": "你好！"}), encoding="utf-8")
    items = [
        {"instruction": "你好", "output": "早上好！"},
        {"question": "天气怎么样？", "std_answer": ""},
        {"question": "天气怎么样？", "std_answer": "今天下雨。"},
        {"instruction": "翻译", "input": "雨", "output": "rain"},
    ]
    held_out.write_text("\n".join(map(json.dumps, items)), encoding="utf-8")
    reader = texts.TextReader(converted("bloom", "q4_0"), seen=[seen], n_tokens=1000, max_tokens=32)
    found = reader.read(f"zh={held_out}")
    assert (found.name, len(found.texts)) == ("zh", 2)
    assert found.n_tokens == sum(map(len, found.texts)) > 8
    assert texts.question_of(items[3]) == "翻译\n雨"
    with pytest.raises(ValueError, match="did not see"):
        reader.read(f"zh={seen}")
    with pytest.raises(ValueError, match="NAME=FILE"):
        reader.read(str(held_out))


def row(method: str, kind: str, size: int, kl: float, engine: str, texts: str = "zh") -> dict[str, Any]:
    return {
        "method": method,
        "type": kind,
        "tensor_bytes": size,
        "kl_mean": kl,
        "engine": engine,
        "texts": texts,
    }


RESULTS = [
    row("fast", "q4_0", 20, 0.01, "native"),
    row("llama.cpp", "q4_0", 20, 0.02, "native"),
    row("llama.cpp", "q4_0", 20, 0.031, "llama.cpp"),
    row("llama.cpp", "iq4_xs", 19, 0.04, "native"),
    row("fast", "q4_0", 20, 0.05, "native", "en"),
]


def test_bars_are_of_one_engine() -> None:
    quality_chart = importlib.import_module("quality_chart")
    found = quality_chart.bars(RESULTS, "zh", "native")
    assert {key: bar["kl_mean"] for key, bar in found.items()} == {
        ("q4_0", "fast"): 0.01,
        ("q4_0", "llama.cpp"): 0.02,
        ("iq4_xs", "llama.cpp"): 0.04,
    }
    assert quality_chart.types_by_size(found) == ["iq4_xs", "q4_0"]


@pytest.mark.slow
def test_the_picture_names_types_and_methods_and_is_the_same_again(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    quality_chart = importlib.import_module("quality_chart")
    pictures = []
    for name in ("one.svg", "two.svg"):
        quality_chart.chart([{"model": "tiny", "results": RESULTS}], ["zh", "en"], tmp_path / name)
        pictures.append((tmp_path / name).read_text(encoding="utf-8"))
    assert pictures[0] == pictures[1]
    for text in ("tiny: zh", "tiny: en", "fast", "llama.cpp", "0.01", "0.04", "q4_0", "iq4_xs"):
        assert f">{text}<" in pictures[0]
    assert ">0.031<" not in pictures[0]

"""The chart of divergence over bytes (benchmarks/fidelity_chart.py): which points it shows."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def fidelity_chart(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module("fidelity_chart")
    sys.modules.pop("fidelity_chart")


def row(maker: str, type: str, size: int, kl: float, engine: str, runner: str = "") -> dict[str, Any]:
    return {
        "maker": maker,
        "type": type,
        "bytes": size,
        "kl_mean": kl,
        "engine": engine,
        "runner": runner or engine,
    }


RESULTS = [
    row("ours", "q8_0", 30, 0.001, "native"),
    row("ours", "q4_0", 20, 0.010, "native"),
    row("ours", "q4_0", 20, 0.009, "llama.cpp"),
    row("ours", "q4_0", 20, 0.011, "native", "native/decode"),
    row("ours", "q4_1", 25, 0.012, "native"),
    row("llama.cpp", "q4_0", 21, 0.005, "llama.cpp"),
    row("llama.cpp", "q4_0", 21, 0.006, "native"),
]


def test_each_maker_is_run_by_its_own_engine(fidelity_chart: ModuleType) -> None:
    ours = fidelity_chart.points(RESULTS, "ours")
    assert [(r["type"], r["kl_mean"]) for r in ours] == [("q4_0", 0.010), ("q4_1", 0.012), ("q8_0", 0.001)]
    assert [r["kl_mean"] for r in fidelity_chart.points(RESULTS, "llama.cpp")] == [0.005]


def test_the_curve_leaves_out_what_a_smaller_file_beats(fidelity_chart: ModuleType) -> None:
    best = fidelity_chart.frontier(fidelity_chart.points(RESULTS, "ours"))
    assert [r["type"] for r in best] == ["q4_0", "q8_0"]


@pytest.mark.slow
def test_the_picture_names_every_file_and_is_the_same_again(
    fidelity_chart: ModuleType, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    reports = [{"model": "first.gguf", "results": RESULTS}, {"model": "second", "results": RESULTS[:2]}]
    pictures = []
    for name in ("one.svg", "two.svg"):
        fidelity_chart.chart(reports, "q4_0", tmp_path / name)
        pictures.append((tmp_path / name).read_text(encoding="utf-8"))
    assert pictures[0] == pictures[1]
    for text in ("q4_0", "q4_1", "q8_0", "ours", "llama.cpp", "first", "second"):
        assert f">{text}<" in pictures[0]

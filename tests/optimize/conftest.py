"""Texts to calibrate on, moments drawn at random, and what the tests ask of files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from belle_edge.convert.moments.calibrate import calibrate

from .moments_files import write_moments

QUESTIONS = (
    "用一句话介绍北京。",
    "写一首关于春天的诗。",
    "把这句话翻译成英文：今天天气很好。",
    "Name three fruits.",
)
ANSWERS = (
    "北京是中国的首都。",
    "春风吹绿了江南的山。",
    "The weather is nice today.",
    "Apples, pears and plums.",
)


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A file of short instructions with answers; some are held out of calibration."""
    path = tmp_path / "texts.jsonl"
    records = [
        {"instruction": f"{number}. {question}", "input": "", "output": f"{answer}{number * 7}"}
        for number in range(12)
        for question, answer in zip(QUESTIONS, ANSWERS, strict=True)
    ]
    lines = [json.dumps(record, ensure_ascii=False) for record in records]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def calibrated(
    checkpoint: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """name of a checkpoint -> its moments over bundled texts, computed when they are first asked for."""
    folder = tmp_path_factory.mktemp("calibrated")

    def get(name: str) -> Path:
        out = folder / f"{name}.moments"
        if not out.exists():
            calibrate(checkpoint(name), out, tokens=2048)
        return out

    return get


@pytest.fixture
def moments(checkpoint: Callable[[str], Path], tmp_path: Path) -> Callable[..., Path]:
    """name of a checkpoint -> a file of moments for it."""

    def make(name: str, *, like: Path | None = None, full: bool = True) -> Path:
        """like: a file whose values the model has, where they are not the checkpoint's."""
        out = tmp_path / f"{name}-{like is not None}-{full}.moments"
        return write_moments(like or checkpoint(name), out, full=full)

    return make

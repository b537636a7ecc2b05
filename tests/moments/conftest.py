"""A small model, texts for it, and its moments."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from belle_edge.convert.moments.calibrate import calibrate

from .calibrations import TOKENS, write_texts


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_texts(tmp_path_factory.mktemp("data") / "texts.jsonl")


@pytest.fixture(scope="session")
def llama(checkpoint: Callable[[str], Path]) -> Path:
    return checkpoint("llama")


@pytest.fixture(scope="session")
def made(llama: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The moments of the random LLaMA."""
    path = tmp_path_factory.mktemp("made") / "moments.gguf"
    calibrate(llama, path, data=data, tokens=TOKENS)
    return path

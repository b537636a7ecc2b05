"""Small models with the tensors of the large ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from belle_edge.benchmark.shapes import Shape
from belle_edge.benchmark.synthetic import write_synthetic

TINY = {
    "bloom": Shape("tiny-bloom", "bloom", 2, 128, 4, 512, 601, 256),
    "llama": Shape("tiny-llama", "llama", 2, 128, 4, 352, 601, 256),
}


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Architecture -> a synthetic file of it."""
    folder = tmp_path_factory.mktemp("tiny")

    def get(architecture: str) -> Path:
        path = folder / f"{architecture}.gguf"
        if not path.exists():
            write_synthetic(TINY[architecture], path)
        return path

    return get

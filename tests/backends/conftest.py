"""Fixtures for the engines: their results are compared with each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from belle_edge.backends.llama_cpp import LlamaCppBackend

from .foreign_models import WRITERS
from .sequences import Ids

Foreign = Callable[..., Path]


@pytest.fixture(scope="session")
def llama_cpp() -> Any:
    """The package; skips without it."""
    return pytest.importorskip("llama_cpp")


@pytest.fixture(scope="session")
def foreign(llama_cpp: Any, tmp_path_factory: pytest.TempPathFactory) -> Foreign:
    """foreign("qwen2", "q8_0") → a tiny random model of that architecture and matrix type."""
    folder = tmp_path_factory.mktemp("foreign")

    def path_of(architecture: str, type: str = "f32") -> Path:
        path = folder / f"{architecture}-{type}.gguf"
        if not path.exists():
            WRITERS[architecture](path, type)
        return path

    return path_of


@pytest.fixture(scope="module")
def qwen2(foreign: Foreign) -> Iterator[LlamaCppBackend]:
    """A tiny random model with rotary positions."""
    engine = LlamaCppBackend(foreign("qwen2"), threads=1)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def ids() -> Ids:
    """100 token ids."""
    return np.random.default_rng(3).integers(0, 256, size=100, dtype=np.int32)

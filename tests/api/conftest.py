"""Models for the tests of the API: the bundled one, and random ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from belle_edge import Belle

from .tiny_models import write_tiny_model


@pytest.fixture(scope="module")
def tiny_zh(converted: Callable[[str, str], Path]) -> Iterator[Belle]:
    """The bundled BLOOM, which answers in Chinese; a context of 256."""
    with Belle.load(converted("bloom", "q4_0")) as model:
        yield model


@pytest.fixture(scope="module")
def stories(converted: Callable[[str, str], Path]) -> Iterator[Belle]:
    """A random LLaMA with a vocabulary of stories; no chat template, a context of 512."""
    with Belle.load(converted("llama", "f32")) as model:
        yield model


@pytest.fixture(scope="module", params=["bloom", "llama"])
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Belle]:
    """Random weights, one of each architecture, a context of 128."""
    path = tmp_path_factory.mktemp("tiny") / f"{request.param}.gguf"
    with Belle.load(write_tiny_model(path, request.param)) as model:
        yield model

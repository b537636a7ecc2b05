"""Fixtures for hostile and unlucky input."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from belle_edge.convert import convert

from .checkpoints import write_bloom, write_checkpoint
from .small_models import write_complete

SmallModel = Callable[[str, str], Path]
Completed = subprocess.CompletedProcess[str]


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> SmallModel:
    """small_model("llama", "q4_0") → a complete small foreign file, written when it is first asked for."""
    folder = tmp_path_factory.mktemp("small-models")

    def path_of(architecture: str, type: str) -> Path:
        path = folder / f"{architecture}-{type}.gguf"
        return path if path.exists() else write_complete(folder, architecture, type)

    return path_of


@pytest.fixture(scope="session")
def converted_model(tmp_path_factory: pytest.TempPathFactory) -> SmallModel:
    """converted_model("llama", "q4_0") → a small file of our converter, with checksums; several chunks as f32."""
    folder = tmp_path_factory.mktemp("converted-models")

    def path_of(architecture: str, type: str) -> Path:
        source, path = folder / architecture, folder / f"{architecture}-{type}.gguf"
        if not source.exists():
            if architecture == "llama":
                write_checkpoint(source, hidden=128, n_layers=2, n_heads=4)
            else:
                write_bloom(source, hidden=192)
        if not path.exists():
            convert(source, path, type=type)
        return path

    return path_of


@pytest.fixture(scope="session")
def belle() -> Callable[..., Completed]:
    """Runs the command line in a process of its own."""

    def run(*arguments: str | Path, text: str = "") -> Completed:
        return subprocess.run(
            [sys.executable, "-m", "belle_edge.cli.main", *map(str, arguments)],
            input=text,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )

    return run

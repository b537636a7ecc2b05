"""Small models with the tensors of the large ones."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from belle_edge.benchmark import measure
from belle_edge.benchmark.shapes import Shape
from belle_edge.benchmark.synthetic import write_synthetic

TINY = {
    "bloom": Shape("tiny-bloom", "bloom", 2, 128, 4, 512, 601, 256),
    "llama": Shape("tiny-llama", "llama", 2, 128, 4, 352, 601, 256),
}

# A probe of memory fills a gigabyte first, which takes seconds. What is measured is no different over less of it.
SHORT_PROBES = {"_READ_BYTES": 64 << 20, "_READ_PASSES": 2, "_STRETCH_READ_BYTES": 64 << 20}
_PROGRAM = f"""
import sys
from belle_edge.benchmark import measure
vars(measure).update({SHORT_PROBES})
from belle_edge.cli.main import main
sys.exit(main())
"""
COMMAND = [sys.executable, "-m", "belle_edge.cli.main", "bench"]
SHORT_COMMAND = [sys.executable, "-c", _PROGRAM, "bench"]


@pytest.fixture
def short_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measurements in this process read less memory for its speed; SHORT_COMMAND does so in its own."""
    for name, value in SHORT_PROBES.items():
        monkeypatch.setattr(measure, name, value)


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

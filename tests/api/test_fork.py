"""fork() while other threads compute: whatever a child tries ends, with a result or the documented error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .tiny_models import write_tiny_model

PROGRAM = Path(__file__).with_name("fork_program.py")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")]


@pytest.mark.parametrize("backend", ["native", "llama.cpp"])
def test_no_operation_hangs_in_a_forked_child(
    tmp_path: Path, backend: str, request: pytest.FixtureRequest
) -> None:
    if backend == "llama.cpp":
        request.getfixturevalue("llama_cpp")
    path = write_tiny_model(tmp_path / "m.gguf", "llama")
    report = tmp_path / "report.txt"
    command = [
        sys.executable,
        "-W",
        "ignore",
        str(PROGRAM),
        str(path),
        backend,
        str(report),
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert report.exists(), result.stderr
    assert report.read_text(encoding="utf-8") == "18 operations are fine", result.stderr
    assert "Exception ignored" not in result.stderr

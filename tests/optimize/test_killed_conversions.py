"""`convert --optimize` under `kill -9`, at each stage: going on ends with the bytes of a run that nobody disturbed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from belle_edge.convert import convert

pytestmark = pytest.mark.slow  # a process for each kill

_KILLED = """
import os, sys
from belle_edge.convert import convert
source, out, texts, stage, left = *sys.argv[1:5], int(sys.argv[5])
def end(event):
    global left
    left -= event.stage == stage
    if left == 0:
        os.kill(os.getpid(), 9)
convert(source, out, type="q4_0", optimize="fast", calibration=texts, resume=True, progress=end)
"""


def kill_in(source: Path, out: Path, texts: Path, stage: str, events: int) -> None:
    """A conversion that goes on with `out`, and is killed at so many steps of a stage."""
    command = [sys.executable, "-c", _KILLED, str(source), str(out), str(texts), stage, str(events)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == -9, done.stderr


def test_killed_again_and_again(checkpoint: Callable[[str], Path], texts: Path, tmp_path: Path) -> None:
    source, out = checkpoint("llama"), tmp_path / "out.gguf"
    for stage, events in [
        ("calibrating", 3),
        ("calibrating", 6),
        ("converting", 4),
        ("converting", 9),
        ("measuring", 1),
    ]:
        kill_in(source, out, texts, stage, events)
        assert not out.exists()
    convert(source, out, type="q4_0", optimize="fast", calibration=texts, resume=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.gguf", "texts.jsonl"]
    convert(source, tmp_path / "other.gguf", type="q4_0", optimize="fast", calibration=texts)
    assert out.read_bytes() == (tmp_path / "other.gguf").read_bytes()

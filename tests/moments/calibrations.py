"""Calibrations for tests: small data, and one that ends in the middle."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from belle_edge.convert.moments.calibrate import calibrate
from belle_edge.convert.progress import ConversionProgress

TEXTS = [
    {
        "instruction": "Tell me a story.",
        "output": "Once upon a time there was a little girl named Lily. " * 9,
    },
    {"instruction": "What is for lunch?", "output": "Rice."},
    {"instruction": "你好", "output": "你好！有什么可以帮你的吗？"},
    {"text": "The cat slept near the window. It dreamed of fish, of milk and of a long walk. " * 12},
]
TOKENS = 500
_KILLED = """
import os, sys
from belle_edge.convert.moments.calibrate import calibrate
left = int(sys.argv[3])
def end(event):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), 9)
calibrate(sys.argv[1], sys.argv[2], data=sys.argv[4], tokens=int(sys.argv[5]), resume=True, progress=end)
"""


class Stopped(BaseException):
    """As Ctrl-C."""


def write_texts(path: Path) -> Path:
    """The data of these tests."""
    path.write_text("".join(json.dumps(text) + "\n" for text in TEXTS), encoding="utf-8")
    return path


def stop_after(source: Path, out: Path, data: Path, n_inputs: int, **options: Any) -> None:
    """A calibration that is interrupted when so many inputs are done."""
    left = n_inputs

    def end(event: ConversionProgress) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Stopped

    try:
        calibrate(source, out, data=data, tokens=TOKENS, progress=end, **options)
    except Stopped:
        return
    raise AssertionError("it was not interrupted")


def kill_after(source: Path, out: Path, data: Path, n_inputs: int) -> None:
    """A calibration that goes on with `out`, and whose process is killed when so many inputs are done."""
    command = [sys.executable, "-c", _KILLED, str(source), str(out), str(n_inputs), str(data), str(TOKENS)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == -9, done.stderr

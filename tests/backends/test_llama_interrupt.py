"""Ctrl-C ends a long pass of llama.cpp and leaves its sequences as they were."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = """
import os, signal, sys, threading
from pathlib import Path
import numpy as np
from belle_edge.backends.llama_cpp import LlamaCppBackend

backend = LlamaCppBackend(Path(sys.argv[1]), threads=2)
ids = np.arange(2000) % 8000
sequence, other = backend.new_sequence(), backend.new_sequence()
backend.forward([(sequence, ids[:20])])
codes, pending = [], []
decode = backend._library.api.llama_decode


def decode_interrupted(*arguments):
    while pending:
        threading.Timer(0.01 * len(pending), os.kill, pending.pop()).start()
    codes.append(decode(*arguments))
    return codes[-1]


backend._library.api.llama_decode = decode_interrupted
for count in (1, 2):  # an impatient user presses it twice
    pending += [(os.getpid(), signal.SIGINT)] * count
    try:
        backend.forward([(sequence, ids[20:]), (other, ids)])
    except KeyboardInterrupt:
        try:
            threading.Event().wait(0.1)
        except KeyboardInterrupt:
            pass
        print("interrupted", sequence.length, other.length, codes[-1])
found = backend.forward([(sequence, [5])])[0]
fresh = backend.new_sequence()
backend.forward([(fresh, ids[:20])])
print(np.allclose(found, backend.forward([(fresh, [5])])[0], atol=1e-2))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_ctrl_c_in_a_long_prompt(llama_cpp: Any, converted: Any) -> None:
    path: Path = converted("belle-tiny-zh", "f32")
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path)], capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    aborted = 2  # llama_decode's code
    assert result.stdout.splitlines() == [f"interrupted 20 0 {aborted}"] * 2 + ["True"]
    assert result.stderr == ""

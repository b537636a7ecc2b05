"""Runs a few lines of Python in a process of their own: for what ends, forks or limits a process."""

from __future__ import annotations

import os
import subprocess
import sys

PRELUDE = """
import sys
import numpy as np
from belle_edge import _core
"""


def run_python(
    script: str, *args: object, timeout: float = 60, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """`sys.argv[1:]` are the arguments. subprocess.TimeoutExpired where it hangs."""
    return subprocess.run(
        [sys.executable, "-c", PRELUDE + script, *map(str, args)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **(env or {})},
    )


def output_of(script: str, *args: object, timeout: float = 60, env: dict[str, str] | None = None) -> str:
    """What the script printed; it must end well."""
    result = run_python(script, *args, timeout=timeout, env=env)
    assert result.returncode == 0, f"exit status {result.returncode}\n{result.stdout}\n{result.stderr}"
    return result.stdout.strip()

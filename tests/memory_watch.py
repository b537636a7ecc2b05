"""Work in a process of its own, whose anonymous memory is watched (benchmarks/anonymous_memory.py)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def run_watched(script: str, *arguments: str) -> dict[str, Any]:
    """What the script prints, as JSON. It runs with two threads and may import `anonymous_memory`."""
    paths = [str(BENCHMARKS), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "2", "PYTHONPATH": os.pathsep.join(paths)},
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result

"""kill -9 while it answers: benchmarks/page_kill.py, twice."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.slow
def test_nothing_is_lost(demo_file: Path) -> None:
    command = [sys.executable, "benchmarks/page_kill.py", str(demo_file), "--times", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"killed 2 times: [1-6] answers cut off and marked, 0 faults", done.stdout)

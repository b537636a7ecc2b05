"""Mutated checkpoints of every form: refused in time and memory, or converted to a file that loads.

BELLE_MUTATIONS=5000 runs more of them than the default; the seeds are 0 … n - 1.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from .small_checkpoints import write_sources

pytestmark = pytest.mark.slow
N_MUTATIONS = int(os.environ.get("BELLE_MUTATIONS", "300"))
MAX_SECONDS, MAX_KB = 2.0, 500_000
PROGRAM = "tests.hostile.mutated_conversions"
ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
def test_mutated_checkpoints(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    sound = tmp_path / "sound"
    (sound / "sources.json").write_text(json.dumps(write_sources(sound)))
    done = subprocess.run(
        [sys.executable, "-m", PROGRAM, str(sound), str(tmp_path / "work"), "0", str(N_MUTATIONS)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"{done.returncode} after {reports[-1:]}\n{done.stderr[-3000:]}"
    assert len(reports) == N_MUTATIONS
    counts = Counter(report["outcome"].partition(":")[0] for report in reports)
    slowest = max(reports, key=lambda report: report["seconds"])
    largest = max(reports, key=lambda report: report["kb"])
    print(f"\n{N_MUTATIONS} mutated checkpoints: {dict(counts)}")
    print(
        f"slowest {slowest['seconds']:.2f} s ({slowest['what']}), most {largest['kb']} KB ({largest['what']})"
    )
    assert not [report for report in reports if report["outcome"].startswith("FAULT")]
    assert largest["kb"] <= MAX_KB, largest
    assert slowest["seconds"] <= MAX_SECONDS, slowest
    assert counts["refused"] > N_MUTATIONS // 4
    assert counts["runs"] > N_MUTATIONS // 20

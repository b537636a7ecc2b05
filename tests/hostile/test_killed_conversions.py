"""`kill -9` in the middle of conversions: the target holds all or nothing; the next run, resumed or not, is right."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .checkpoints import write_checkpoint

pytestmark = pytest.mark.slow
N_KILLS = 50
PROGRAM = Path(__file__).with_name("killing.py")


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_killed_at_random_moments(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint")
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(checkpoint), str(tmp_path), str(N_KILLS)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(reports) == N_KILLS
    for report in reports:
        assert report["after"] in (report["before"], "new"), report
        assert report["after"] == "new" or report["running"], report
        assert report["next_run"] == "new", report
        assert report["left"] == ["out.gguf"], report
    n_running = sum(report["running"] for report in reports)
    n_partial = sum(report["partial_bytes"] is not None for report in reports)
    n_resumed = sum(report["resumed_tensors"] > 0 for report in reports)
    print(f"\n{N_KILLS} kills: {n_running} hit a running conversion, {n_partial} left a partial file")
    print(f"{n_resumed} were resumed with tensors of the killed run")
    assert n_running > N_KILLS // 3
    assert n_partial >= 5
    assert n_resumed >= 5

"""Conversions killed with SIGKILL at random moments; started by test_killed_conversions.py as a program.

Arguments: checkpoint, folder for the outputs, number of kills. Prints one JSON object per kill. Each conversion is a
fork of this process, which has imported everything, so that the moments fall into the conversion. Two of three are
then resumed, the third starts again.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from belle_edge.convert import convert, journal

journal.SECONDS_BETWEEN_RECORDS = 0.0  # small tensors: a record after each


def killed_conversion(checkpoint: Path, target: Path, delay_s: float) -> bool:
    """Whether the conversion was still running when it was killed."""
    child = os.fork()
    if child == 0:
        try:
            convert(checkpoint, target, type="q8_0", threads=1, force=True)
        finally:
            os._exit(0)
    time.sleep(delay_s)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def state_of(target: Path, known: dict[bytes, str]) -> str:
    return known.get(target.read_bytes(), "INCOMPLETE") if target.exists() else "absent"


def n_recorded_tensors(target: Path) -> int:
    path = journal.journal_path(target)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return sum(len(json.loads(line).get("tensors", [])) for line in lines if line.endswith("}"))


def run(checkpoint: Path, folder: Path, n_kills: int) -> None:
    reference, older = folder / "reference.gguf", folder / "older.gguf"
    convert(checkpoint, older, type="q4_0", threads=1)
    start = time.monotonic()
    convert(checkpoint, reference, type="q8_0", threads=1)
    duration_s = time.monotonic() - start
    known = {reference.read_bytes(): "new", older.read_bytes(): "old"}
    choose = random.Random(1)
    target, partial = folder / "out.gguf", folder / "out.gguf.part"
    for turn in range(n_kills):
        target.unlink(missing_ok=True)
        if turn % 2:
            target.write_bytes(older.read_bytes())
        running = killed_conversion(checkpoint, target, 1.1 * choose.random() * duration_s)
        report = {
            "before": "old" if turn % 2 else "absent",
            "running": running,
            "after": state_of(target, known),
            "partial_bytes": partial.stat().st_size if partial.exists() else None,
        }
        resume = turn % 3 > 0
        report["resumed_tensors"] = n_recorded_tensors(target) if resume else 0
        convert(checkpoint, target, type="q8_0", threads=1, force=True, resume=resume)
        report |= {"next_run": state_of(target, known), "left": sorted(p.name for p in folder.glob("out*"))}
        print(json.dumps(report), flush=True)


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))

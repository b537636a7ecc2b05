"""`make quick` is a look at everything: each folder of tests has a part in it. tests/quick_subset.py keeps it quick."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ALL_SLOW = {"backends", "installation", "sanitizers"}  # they load another engine, or build


def rooms(*arguments: str) -> Counter[str]:
    """Folder of tests -> how many are collected in it."""
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "--collect-only", "-p", "no:cacheprovider"]
    done = subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    names = [line for line in done.stdout.splitlines() if "::" in line]
    return Counter(name.split("/")[1] for name in names)


@pytest.mark.slow
def test_every_room_has_a_part_in_it() -> None:
    everything, quick = rooms(), rooms("-m", "not slow")
    folders = {path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")}
    assert set(everything) == folders
    assert folders - quick.keys() == ALL_SLOW
    assert quick.total() > everything.total() // 2

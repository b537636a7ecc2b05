"""`make quick` is a look at everything: each folder of tests has a part in it. tests/quick_subset.py keeps it quick."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ALL_SLOW = {"backends", "installation", "sanitizers"}  # they load another engine, or build


COLLECT = """
import sys
import pytest


class Rooms:
    def pytest_collection_finish(self, session):
        for item in session.items:
            print("item", item.nodeid.split("/")[1], item.get_closest_marker("slow") is not None)


sys.exit(pytest.main(["-n", "0", "-q", "--collect-only", "-p", "no:cacheprovider"], plugins=[Rooms()]))
"""


def rooms() -> tuple[Counter[str], Counter[str]]:
    """Folder of tests -> how many are collected in it; and how many of these are not slow."""
    done = subprocess.run([sys.executable, "-c", COLLECT], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    found = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("item ")]
    return Counter(room for room, _ in found), Counter(room for room, slow in found if slow == "False")


@pytest.mark.slow
def test_every_room_has_a_part_in_it() -> None:
    everything, quick = rooms()
    folders = {path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")}
    assert set(everything) == folders
    assert folders - quick.keys() == ALL_SLOW
    assert quick.total() > everything.total() // 2

"""Renders templates in a process of its own: how each ends, how long it takes, how much memory they take together.

Reads JSON from standard input, {"hostile": bool, "mutated": [first, last]}, and prints a JSON line. Linux only.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hostile import HOSTILE
from mutation import mutated
from published import CONVERSATIONS, TEMPLATES

from belle_edge.text.prompts import render

LONGEST_SOURCE = 20_000  # of a template that is changed: longer ones say the same as shorter ones


def outcome(source: str) -> str:
    """ "text", "ValueError: …", or what should not have come out."""
    try:
        render(source, CONVERSATIONS["system"], bos_token="<s>", eos_token="</s>")
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return "text"


def sources(hostile: bool, first: int, last: int) -> Iterator[tuple[str, str]]:
    """(name, template)."""
    if hostile:
        yield from HOSTILE.items()
    hostile_ones = [source for source in HOSTILE.values() if len(source) < LONGEST_SOURCE]
    for number in range(first, last):
        rng = random.Random(number)
        one, other = (
            rng.choice((*TEMPLATES.values(),) if rng.random() < 0.6 else hostile_ones) for _ in range(2)
        )
        yield f"mutated {number}", mutated(one, other, rng)


def peak_mb() -> float:
    """Of this process. Its ru_maxrss may be that of the process which started it."""
    status = Path("/proc/self/status").read_text("ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main() -> None:
    asked: dict[str, Any] = json.load(sys.stdin)
    outcomes: dict[str, tuple[float, float, str]] = {}
    for name, source in sources(asked["hostile"], *asked["mutated"]):
        start, wall = time.thread_time(), time.perf_counter()
        ended = outcome(source)
        outcomes[name] = (time.thread_time() - start, time.perf_counter() - wall, ended)
    print(json.dumps({"outcomes": outcomes, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main()

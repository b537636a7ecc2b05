"""What `make quick` leaves out, and the watch over what it keeps. No clock: what a test does is counted, not how long.

A test is slow where its file or it says so (`pytest.mark.slow`), and where it asks for one of SLOW_FIXTURES. Any other
test may not load a heavy package, start a compiler, or start many processes: it fails with the advice to mark it.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest

SLOW_FIXTURES = frozenset(
    {
        "chat",  # a process on a pseudo-terminal, which answers several times
        "fuzzer",
        "llama_cpp",
        "make_bloom",  # these two write checkpoints with transformers
        "make_llama",
        "pairs",
        "program",
        "sanitized_program",
        "torch",
    }
)
HEAVY_PACKAGES = frozenset({"llama_cpp", "matplotlib", "peft", "torch", "transformers"})
COMPILERS = frozenset({"c++", "cc", "clang", "clang++", "cmake", "g++", "gcc", "ninja"})
MOST_PROCESSES = 4  # of one test


class Watch:
    """Counts what the tests of this process do."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self._loaded: set[str] = set()
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "subprocess.Popen":
            program, words = arguments[0], arguments[1]
            self.started.append(os.path.basename(os.fsdecode(program or words[0])))
        elif event == "os.fork":
            self.started.append("a fork")

    def begin(self) -> None:
        self.started.clear()
        self._loaded = HEAVY_PACKAGES & sys.modules.keys()

    def objection(self) -> str | None:
        """Why what was done since `begin` is not quick."""
        if loaded := (HEAVY_PACKAGES & sys.modules.keys()) - self._loaded:
            return f"it loaded {', '.join(sorted(loaded))}"
        if compilers := COMPILERS & {name.removesuffix(".exe") for name in self.started}:
            return f"it started {', '.join(sorted(compilers))}"
        if len(self.started) > MOST_PROCESSES:
            return f"it started {len(self.started)} processes, more than {MOST_PROCESSES}"
        return None


WATCH = Watch()


def mark_by_fixtures(items: list[pytest.Item]) -> None:
    for item in items:
        if SLOW_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("slow")

"""What a measured process does: it answers requests, one JSON object on a line, with what it took.

Both engines go through the same loops here. Uses the standard library alone.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any, Protocol


class Engine(Protocol):
    """What is measured. Every method returns the most probable next tokens."""

    def load(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Load and return a description."""

    def prompt(self, prompts: Sequence[Sequence[int]]) -> list[int]:
        """Forget everything, then compute these prompts, a sequence each, in one pass."""

    def step(self, tokens: Sequence[int]) -> list[int]:
        """One more token of each sequence."""


def serve(engine: Engine) -> None:
    """Answer requests until standard input ends. What else is printed goes to standard error."""
    loop = _Loop(engine)
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        for line in sys.stdin:
            request = json.loads(line)
            try:
                answer = {**loop.answer(request), **_memory()}
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


class _Loop:
    """An engine, and the last tokens of the sequences that it is decoding."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tokens: list[int] = []

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["do"] == "load":
            start = time.perf_counter()
            description = self._engine.load(request)
            return {"load_s": time.perf_counter() - start, **description}
        if request["do"] == "prompt":
            return {"seconds": self._prompt(request["prompts"])}
        if request["do"] == "decode":
            return {"seconds": self._decode(request["generate"])}
        if request["do"] == "hello":
            return {"ready": True}
        return dict(getattr(self._engine, request["do"])(request))  # what only one engine can do

    def _prompt(self, prompts: Sequence[Sequence[int]]) -> float:
        """Seconds up to the first token of each sequence."""
        start = time.perf_counter()
        self._tokens = self._engine.prompt(prompts)
        return time.perf_counter() - start

    def _decode(self, n_tokens: int) -> float:
        """Seconds of so many more tokens of each sequence."""
        start = time.perf_counter()
        for _ in range(n_tokens):
            self._tokens = self._engine.step(self._tokens)
        return time.perf_counter() - start


def _memory() -> dict[str, int | None]:
    """Bytes: the most that was resident since the process began, and what is anonymous memory now."""
    peak, anonymous = _status("VmHWM"), _status("RssAnon")
    if peak is None and sys.platform != "win32":
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {"peak_rss_bytes": peak, "anonymous_bytes": anonymous}


def _status(name: str) -> int | None:
    """A line of Linux's own account of this process, which begins with it and not with its parent."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as lines:
            for line in lines:
                if line.startswith(f"{name}:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None

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
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        for line in sys.stdin:
            request = json.loads(line)
            try:
                answer = {**_answer(engine, request), **_memory()}
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


def _answer(engine: Engine, request: dict[str, Any]) -> dict[str, Any]:
    if request["do"] == "load":
        start = time.perf_counter()
        description = engine.load(request)
        return {"load_s": time.perf_counter() - start, **description}
    if request["do"] == "run":
        return _run(engine, request)
    if request["do"] == "hello":
        return {"ready": True}
    return dict(getattr(engine, request["do"])(request))  # what only one engine can do


def _run(engine: Engine, request: dict[str, Any]) -> dict[str, float]:
    """Seconds of a prompt up to its first token, of the tokens after it, and of several sequences together."""
    prompt, generate, batch = request["prompt"], request["generate"], request["batch"]
    start = time.perf_counter()
    tokens = engine.prompt([prompt])
    prefill_s = time.perf_counter() - start
    decode_s = _decode(engine, tokens, generate)
    tokens = engine.prompt(batch)
    return {"prefill_s": prefill_s, "decode_s": decode_s, "batch_s": _decode(engine, tokens, generate)}


def _decode(engine: Engine, tokens: list[int], n_tokens: int) -> float:
    start = time.perf_counter()
    for _ in range(n_tokens):
        tokens = engine.step(tokens)
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

"""A program that forks while other threads compute: each operation in ten children, none of which may hang.

Arguments: a GGUF file, the backend, where to write what went wrong.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from belle_edge import Belle

FORKS = 10
PATIENCE_S = 20  # a child needs some milliseconds
IDS = [5, 6, 7, 8]


def operations(model: Belle) -> dict[str, Callable[[], Any]]:
    """What a child may try with a model and what hangs on it; all made before the fork."""
    sequence, other = model.backend.new_sequence(), model.backend.new_sequence()
    model.backend.forward([(sequence, IDS), (other, IDS)], logits="none")
    state = sequence.save()
    conversation = model.conversation(max_tokens=3)
    conversation.say("q")
    half_read = model.stream(IDS, raw=True, max_tokens=50, banned=[2])
    next(half_read, None)
    saved = Path(tempfile.mkdtemp()) / "saved"
    return {
        "generate": lambda: model.generate(IDS, raw=True, max_tokens=3),
        "batch": lambda: model.generate_batch([IDS, IDS[:2]], raw=True, max_tokens=3),
        "logits": lambda: model.logits(IDS),
        "details": lambda: model.details,
        "length": lambda: sequence.length,
        "tokens": sequence.tokens,
        "fork": sequence.fork,
        "truncate": lambda: sequence.truncate(2),
        "discard": lambda: sequence.discard(0, 1),
        "save": sequence.save,
        "restore": lambda: model.backend.restore(state),
        "new_sequence": model.backend.new_sequence,
        "half a stream": lambda: half_read.finish(),
        "leave a stream": lambda: half_read.close(),
        "say": lambda: conversation.say("q"),
        "undo": conversation.undo,
        "save a conversation": lambda: conversation.save(saved),
        "close": model.close,
    }


def keep_busy(model: Belle) -> None:
    """Threads that compute, and that change a conversation, for as long as the program runs."""
    talk = model.conversation(max_tokens=2, overflow="slide")

    def compute() -> None:
        while True:
            model.logits([5] * 100, last_only=True)

    def converse() -> None:
        while True:
            talk.say("q")

    def generate() -> None:
        while True:
            model.generate([5] * 20, raw=True, max_tokens=9)

    for work in (compute, converse, generate):
        threading.Thread(target=work, daemon=True).start()
    time.sleep(0.2)


def in_child(work: Callable[[], Any], *, leave: Callable[[int], Any]) -> None:
    """Do it, then leave: with 0 for a result or the error that is documented, else with 1 and a message."""
    status = 0
    try:
        work()
    except RuntimeError as error:
        status = 0 if "fork" in str(error) else 1
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        status = 1
    leave(status)


def outcome(child: int) -> str | None:
    """What is wrong with the child's end, if anything is."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return None if code == 0 else f"ended with {code}"
        time.sleep(0.001)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return "hangs"


def main(path: str, backend: str, report: str) -> None:
    model = Belle.load(path, backend=backend, threads=2)
    works = operations(model)
    keep_busy(model)
    wrong = []
    for name, work in works.items():
        for turn in range(FORKS):
            time.sleep(0.0007 * turn)  # so that the children begin at different moments of a pass
            child = os.fork()
            if child == 0:
                # One of them leaves as programs do, with all destructors.
                in_child(work, leave=sys.exit if turn == 0 else os._exit)
            if (problem := outcome(child)) is not None:
                wrong.append(f"{name}: {problem}")
                break
    Path(report).write_text("\n".join(wrong) or f"{len(works)} operations are fine", encoding="utf-8")
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])

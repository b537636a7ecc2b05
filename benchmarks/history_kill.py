"""Is a finished message ever lost? `kill -9` while the server writes an answer, again and again on one history.

    python benchmarks/history_kill.py [MODEL.gguf] [--rounds 20] [--seed 1]

Without a model the bundled one is converted. Each round a new server finds what the ones before it left: it compares
every message with what it was, asks a question, and is killed at a random moment of the answer. Prints a line per
round: what became of the answer. The exit code is 1 where a finished message is missing or another, where an answer
that was cut is not marked, or where text is missing that was there a second before.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from page_server import PageServer

SHORT, LONG = {"max_tokens": 16}, {"max_tokens": 4000}
QUESTIONS = ("你好", "介绍一下北京", "写一首关于春天的诗", "什么是机器学习")
STORED_EVERY_S = 0.5  # of an answer that is being written
MOST_LOST_S = STORED_EVERY_S + 0.5
_KEPT = ("id", "parent", "role", "text", "state", "created", "model", "seed", "settings")
_ENDED = ("finished", "length")


@dataclass(frozen=True)
class Killed:
    """What was known of an answer when its server was killed, `after_s` after its question."""

    chat: str
    answer: str
    after_s: float
    text: str  # what the server had said of it a second before, or at its begin


class Rounds:
    """The messages that are known to be finished, and what was found of those that were not."""

    def __init__(self, longest_s: float, seed: int) -> None:
        self._longest_s = longest_s
        self._chance = random.Random(seed)
        self._known: dict[str, list[dict[str, Any]]] = {}  # chat -> its messages
        self._killed: Killed | None = None
        self.faults: list[str] = []
        self.ends: Counter[str] = Counter()

    @property
    def n_known(self) -> int:
        return sum(map(len, self._known.values()))

    def check(self, server: PageServer) -> None:
        """Everything is there that was there before, and the answer that was cut is marked."""
        for chat, messages in self._known.items():
            found = [_kept(message) for message in server.messages(chat)]
            if found[: len(messages)] != messages:
                self.faults.append(f"chat {chat}: expected {messages}, found {found}")
        if self._killed is not None:
            self._check_killed(server, self._killed)

    def ask_and_kill(self, server: PageServer) -> None:
        """A finished turn, and one that is killed."""
        chat = server.chat(**SHORT)
        with server.events() as events:
            ended = events.ended(server.ask(chat, self._chance.choice(QUESTIONS)))
        if ended["state"] not in _ENDED:
            self.faults.append(f"an answer without a kill ended as {ended['state']}")
        self._known[chat] = [_kept(message) for message in server.messages(chat)]
        server.patch(f"/chats/{chat}", {"settings": LONG})
        answer, begun = server.ask(chat, self._chance.choice(QUESTIONS)), time.monotonic()
        self._known[chat].append(_kept(server.messages(chat)[2]))
        wait_s = self._chance.uniform(0.0, self._longest_s)
        time.sleep(max(0.0, wait_s - MOST_LOST_S))
        text = server.messages(chat)[3]["text"]
        time.sleep(max(0.0, begun + wait_s - time.monotonic()))
        server.kill()
        self._killed = Killed(chat, answer, time.monotonic() - begun, text)

    def _check_killed(self, server: PageServer, killed: Killed) -> None:
        messages = server.messages(killed.chat)
        answer = messages[3] if len(messages) > 3 else {"id": None, "state": "missing", "text": ""}
        self.ends[answer["state"]] += 1
        print(
            f"  killed after {killed.after_s:4.1f} s: {answer['state']}, {len(answer['text'])} characters",
            flush=True,
        )
        if answer["id"] != killed.answer or answer["state"] not in ("cut", *_ENDED):
            self.faults.append(f"answer {killed.answer}: found {answer['id']}, {answer['state']}")
        if not answer["text"].startswith(killed.text):
            self.faults.append(f"answer {killed.answer}: {killed.text!r} was there, now {answer['text']!r}")
        self._known[killed.chat].append(_kept(answer))
        self._killed = None


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--longest", type=float, default=3.0, metavar="S", help="from a question to the kill")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(arguments)
    rounds = Rounds(args.longest, args.seed)
    with tempfile.TemporaryDirectory() as folder:
        model = args.model or _bundled_model(Path(folder))
        print(f"{os.cpu_count()} CPUs, {model.name}, {args.rounds} rounds")
        for number in range(args.rounds + 1):
            with PageServer([str(model)], Path(folder)) as server:
                rounds.check(server)
                if number < args.rounds:
                    rounds.ask_and_kill(server)
    ends = ", ".join(f"{count} {state}" for state, count in rounds.ends.most_common())
    print(f"{args.rounds} kills ({ends}); {rounds.n_known} messages compared; {len(rounds.faults)} faults")
    for fault in rounds.faults:
        print(f"FAULT: {fault}", file=sys.stderr)
    return 1 if rounds.faults else 0


def _kept(message: dict[str, Any]) -> dict[str, Any]:
    """What never changes of a finished message."""
    return {name: message[name] for name in _KEPT if name in message}


def _bundled_model(folder: Path) -> Path:
    from belle_edge.convert import convert
    from belle_edge.demo import checkpoint_path

    path = folder / "demo.gguf"
    convert(checkpoint_path(), path, type="q4_0", family="belle")
    return path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

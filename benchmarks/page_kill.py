"""kill -9 of the server while it answers, again and again: are finished messages there, unfinished ones marked?

    python benchmarks/page_kill.py [MODEL.gguf] [--times 20]

Without a model the bundled one is converted. Each round starts a server on the same data, asks in three chats at once,
and kills it at a random moment. After the next start all messages that were finished have to be there, unchanged. The
others are "cut", with what was stored of them, and can go on. The exit code is 1 where one is missing.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from page_server import PageServer

ENDLESS = {"temperature": 1000.0, "top_k": 0, "top_p": 1.0, "max_tokens": 100_000, "overflow": "slide"}
SHORT = {"temperature": 0, "max_tokens": 12, "overflow": "slide"}
N_CHATS = 3


def demo_model(folder: Path) -> Path:
    """The bundled checkpoint, converted."""
    from belle_edge.convert import convert
    from belle_edge.demo import checkpoint_path

    path = folder / "demo.gguf"
    convert(checkpoint_path(), path, type="q4_0", family="belle")
    return path


class Rounds:
    """The same chats over several lives of the server."""

    def __init__(self, model: Path, data: Path) -> None:
        self._model = model
        self._data = data
        self._random = random.Random(1)
        self._finished: dict[str, dict[str, str]] = {}  # by chat: id -> text
        self.cut: set[str] = set()
        self.faults: list[str] = []

    def one(self) -> None:
        """A life: check what the last one left, answer, be killed."""
        with PageServer([str(self._model)], self._data) as server:
            chats = list(self._finished) or [server.chat(**SHORT) for _ in range(N_CHATS)]
            for chat in chats:
                self._check(server, chat)
                server.ended(server.ask(chat, "12加30等于多少？"), chat)
                self._finished[chat] = {
                    m["id"]: m["text"] for m in server.messages(chat) if m["state"] != "cut"
                }
            for chat in chats:
                server.patch(f"/chats/{chat}", {"settings": ENDLESS})
                self._finished[chat].update(self._begun(server, chat))
            time.sleep(self._random.random() * 1.5)
            server.kill()

    def check_all(self) -> None:
        """After the last one."""
        with PageServer([str(self._model)], self._data) as server:
            for chat in self._finished:
                self._check(server, chat)

    @staticmethod
    def _begun(server: PageServer, chat: str) -> dict[str, str]:
        """An endless answer: its question is a finished message."""
        server.ask(chat, "讲一个故事")
        question = server.messages(chat)[-2]
        server.patch(f"/chats/{chat}", {"settings": SHORT})
        return {question["id"]: question["text"]}

    def _check(self, server: PageServer, chat: str) -> None:
        if chat not in self._finished:
            return
        shown = {message["id"]: message for message in server.messages(chat)}
        for id, text in self._finished[chat].items():
            if id not in shown or shown[id]["text"] != text:
                self.faults.append(f"{chat}: the finished message {id} is missing or another one")
        for message in shown.values():
            if message["state"] == "writing":
                self.faults.append(f"{chat}: {message['id']} counts as being written")
            if message["state"] == "cut":
                self.cut.add(message["id"])
        last = server.messages(chat)[-1]
        if last["state"] == "cut" and last["text"]:
            text = server.ended(server.go_on(chat, last["id"]), chat)["text"]
            if not text.startswith(last["text"]):
                self.faults.append(f"{chat}: {last['id']} did not go on from where it was")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--times", type=int, default=20)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rounds = Rounds(args.model or demo_model(Path(folder)), Path(folder))
        for _ in range(args.times):
            rounds.one()
        rounds.check_all()
    print(
        f"killed {args.times} times: {len(rounds.cut)} answers cut off and marked, {len(rounds.faults)} faults"
    )
    for fault in rounds.faults:
        print(fault)
    return 1 if rounds.faults else 0


if __name__ == "__main__":
    sys.exit(main())

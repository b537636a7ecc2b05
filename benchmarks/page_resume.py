"""How soon does a chat go on after a restart? A long chat, the server's end, its next start, one more question.

    python benchmarks/page_resume.py MODEL.gguf [--tokens 1000] [--family belle-llama] [--rounds 3]

The chat's cache is written when the server ends, and read when a page opens the chat. Prints for each round the time
from the question to the first piece of the answer: with the cache, and with none, when the history is computed again.
With --typing 0 the question comes at once, and waits for the file.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from page_server import PageServer

QUESTION = "你好"


def first_text_s(server: PageServer, chat: str, text: str) -> tuple[float, dict[str, object]]:
    """Seconds from a question to the first piece of its answer, and the answer's timings."""
    with server.events() as events:
        began = time.perf_counter()
        id = server.ask(chat, text)
        events.wait(lambda event: _is_first(event, id))
        seconds = time.perf_counter() - began
        message = events.ended(id)
    return seconds, message["timings"]


def _is_first(event: dict[str, Any], id: str) -> bool:
    """A first piece of text; or the word that it is being written: synthetic models choose tokens without text."""
    if event.get("message") != id:
        return False
    return event["type"] == "blocks" or (event["type"] == "progress" and event["phase"] == "writing")


def long_question(server: PageServer, n_tokens: int) -> str:
    """A text of about so many tokens."""
    n = 64
    while server.post("/chats/new/measure", {"text": QUESTION * n})["tokens"] < n_tokens:
        n = n * 5 // 4
    return QUESTION * n


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--tokens", type=int, default=1000, help="of the history")
    parser.add_argument("--family", default="belle-llama")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--typing", type=float, default=2.0, help="seconds between opening the chat and the question"
    )
    args = parser.parse_args()
    flags = [str(args.model), "--family", args.family]
    found: dict[str, list[float]] = {"with its cache": [], "computed again": []}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        with PageServer(flags, data) as server:
            chat = server.chat(temperature=0, max_tokens=16, overflow="slide")
            first_text_s(server, chat, long_question(server, args.tokens))
            began = time.perf_counter()
        print(f"the end of the server, with its cache written: {time.perf_counter() - began:.2f} s")
        size = sum(path.stat().st_size for path in (data / "chat-caches").glob("*"))
        print(f"the cache: {size / 1e6:.0f} MB")
        for name, more in (("with its cache", []), ("computed again", ["--chat-cache", "0"])):
            for _ in range(args.rounds if not more else 1):
                with PageServer([*flags, *more], data) as server:
                    server.get(f"/chats/{chat}")  # a page opens it
                    time.sleep(args.typing)
                    seconds, timings = first_text_s(server, chat, QUESTION)
                found[name].append(seconds)
                print(f"{name}: {seconds:.3f} s to the first piece; {timings}")
    median = statistics.median(found["with its cache"])
    again = found["computed again"][0]
    print(f"median with its cache {median:.3f} s; computed again {again:.2f} s; {os.cpu_count()} cores")
    return 0 if median <= 0.5 else 1


if __name__ == "__main__":
    sys.exit(main())

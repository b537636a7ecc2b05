"""What does it cost to show an answer while it is written? Tokens a second with a window that reads, and without.

    python benchmarks/page_stream.py MODEL.gguf [--tokens 60] [--rounds 5] [--windows 1] [--family belle-llama]

In turns: the library alone, in a process that does nothing else; the page's server with no window open, so nothing is
sent, but everything is rendered and stored; the same with --windows that read every event. Prints medians and the cost
in per cent; the exit code is 1 where the windows cost more than 3 % of decoding.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from page_server import PageServer

QUESTION = "写一篇关于春天的文章，分成几段，每段有一个标题。"
MOST_COST = 0.03
_LIBRARY = """
import sys
from belle_edge import Belle
model = Belle.load(sys.argv[1], **({"family": sys.argv[3]} if sys.argv[3] else {}))
chat = model.conversation(temperature=0, max_tokens=int(sys.argv[2]))
for _ in sys.stdin:
    print(chat.say(sys.argv[4]).tokens_per_second, flush=True)
    chat.reset()
"""


class Library:
    """The library in a process of its own, which answers when it is told to."""

    def __init__(self, args: argparse.Namespace) -> None:
        command = [sys.executable, "-c", _LIBRARY, str(args.model), str(args.tokens), args.family, QUESTION]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def tokens_per_s(self) -> float:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write("\n")
        self._child.stdin.flush()
        return float(self._child.stdout.readline())

    def close(self) -> None:
        self._child.kill()
        self._child.wait()


def tokens_per_s(server: PageServer, n_tokens: int, n_windows: int, *, seconds: float) -> float:
    """Of one answer, as its timings say. seconds: how long it takes about; nobody asks for it before."""
    with ExitStack() as stack:
        windows = [stack.enter_context(server.events()) for _ in range(n_windows)]
        chat = server.chat(temperature=0, max_tokens=n_tokens, overflow="slide")
        id = server.ask(chat, QUESTION)
        if windows:
            timings = windows[0].ended(id)["timings"]
        else:
            time.sleep(seconds)
            timings = server.ended(id, chat, every_s=1.0)["timings"]
    return float((timings["tokens"] - 1) / timings["decode_s"])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--tokens", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--windows", type=int, default=1)
    parser.add_argument("--family", default="")
    args = parser.parse_args()
    found: dict[str, list[float]] = {"the library alone": [], "no window": [], "windows": []}
    flags = [str(args.model), *(["--family", args.family] if args.family else [])]
    library = Library(args)
    try:
        with tempfile.TemporaryDirectory() as folder, PageServer(flags, Path(folder)) as server:
            library.tokens_per_s()
            began = time.perf_counter()
            tokens_per_s(server, args.tokens, 1, seconds=0.0)
            seconds = time.perf_counter() - began
            for _ in range(args.rounds):
                found["the library alone"].append(library.tokens_per_s())
                found["no window"].append(tokens_per_s(server, args.tokens, 0, seconds=seconds))
                found["windows"].append(tokens_per_s(server, args.tokens, args.windows, seconds=seconds))
    finally:
        library.close()
    for name, values in found.items():
        print(f"{name}: {statistics.median(values):.2f} tokens/s")
    pairs = zip(found["windows"], found["the library alone"], strict=True)
    cost = 1 - statistics.median(window / alone for window, alone in pairs)
    print(f"{args.windows} window(s) against the library: {cost:.1%} of decoding; {os.cpu_count()} cores")
    return 0 if cost <= MOST_COST else 1


if __name__ == "__main__":
    sys.exit(main())

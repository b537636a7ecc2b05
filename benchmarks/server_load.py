"""What belle-edge serve does under load: streams together, newcomers beside a long prompt, repeated beginnings.

    python benchmarks/server_load.py MODEL.gguf [--peer PYTHON] [--isa TIER] [--json FILE]

* together: --streams answers at once against one: tokens a second. With --peer, the same requests to that Python's
  llama_cpp.server (package llama-cpp-python[server]), in turns.
* threads: the same number of Python threads that share one Belle, without a server.
* newcomer: the first token of a short prompt beside a prompt of --long tokens, and alone; the longest pause of streams
  that run meanwhile.
* overhead: tokens a second of one stream over HTTP against the same answer of `Belle` in a process of its own.
* beginning: the first token after a beginning of --shared tokens: the first time, again, and after a restart.

Medians of --repeat rounds. Any GGUF with a context of 2,048 tokens will do; synthetic ones come from
`belle-edge bench --synthetic`. Needs the extra `server`, and httpx.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from server_processes import Server, belle_server, peer_server

TIMEOUT_S = 600.0
Figures = dict[str, float]


def request(prompt: str, n_tokens: int, end_ids: list[int], **more: Any) -> dict[str, Any]:
    """A completion of exactly n_tokens: the tokens that would end it are ruled out."""
    bias = {str(token_id): -100 for token_id in end_ids}
    return {
        "model": "",
        "prompt": prompt,
        "max_tokens": n_tokens,
        "temperature": 0,
        "logit_bias": bias,
        **more,
    }


def words(n_tokens: int, salt: str) -> str:
    """About n_tokens of text, in vocabularies without merges and in real ones; `salt` tells beginnings apart."""
    return (salt + " " + " ".join("abcdefghijklmnopqrstuvwxyz"[i % 26] for i in range(n_tokens)))[:n_tokens]


async def together(server: Server, n_streams: int, n_tokens: int, end_ids: list[int]) -> float:
    """Tokens a second of n_streams answers that are asked for at once."""
    async with server.client(TIMEOUT_S) as client:
        bodies = [
            request(f"Question {i}: {time.time_ns()}", n_tokens, end_ids) | {"model": server.model}
            for i in range(n_streams)
        ]
        begin = time.perf_counter()
        answers = await asyncio.gather(*(client.post("/v1/completions", json=body) for body in bodies))
        seconds = time.perf_counter() - begin
    for answer in answers:
        answer.raise_for_status()
    return sum(answer.json()["usage"]["completion_tokens"] for answer in answers) / seconds


async def piece_times(client: httpx.AsyncClient, body: dict[str, Any]) -> list[float]:
    """When each event with text came."""
    times = []
    async with client.stream("POST", "/v1/completions", json=body | {"stream": True}) as response:
        if response.status_code != 200:
            raise RuntimeError((await response.aread()).decode())
        async for line in response.aiter_lines():
            if line.startswith("data: {") and json.loads(line[6:]).get("choices"):
                times.append(time.perf_counter())
    return times


async def newcomer(server: Server, n_long: int, end_ids: list[int]) -> Figures:
    """Seconds to the first token of a short prompt, alone and beside a long one; the longest pause of two streams."""
    async with server.client(TIMEOUT_S) as client:

        async def first(prompt: str) -> float:
            begin = time.perf_counter()
            return (await piece_times(client, request(prompt, 4, end_ids, model=server.model)))[0] - begin

        salt = str(time.time_ns())
        alone = await first(f"Short {salt} alone")
        running = [
            asyncio.create_task(
                piece_times(client, request(f"Runs {i} {salt}", 120, end_ids, model=server.model))
            )
            for i in range(2)
        ]
        await asyncio.sleep(1.0)
        begin = time.perf_counter()
        long_prompt = asyncio.create_task(
            piece_times(client, request(words(n_long, salt), 2, end_ids, model=server.model))
        )
        await asyncio.sleep(0.5)
        beside = await first(f"Short {salt} beside")
        long_first = (await long_prompt)[0]
        pauses = [
            later - sooner
            for times in await asyncio.gather(*running)
            for sooner, later in itertools.pairwise(times)
        ]
    return {
        "alone_s": alone,
        "beside_s": beside,
        "later_s": beside - alone,
        "long_prompt_s": long_first - begin,
        "longest_pause_s": max(pauses),
    }


async def one_stream(server: Server, n_tokens: int, end_ids: list[int]) -> float:
    """Tokens a second between the first and the last piece of one stream."""
    async with server.client(TIMEOUT_S) as client:
        times = await piece_times(client, request("Once upon a time", n_tokens, end_ids, model=server.model))
    return (len(times) - 1) / (times[-1] - times[0])


async def first_token(server: Server, prompt: str, end_ids: list[int]) -> float:
    async with server.client(TIMEOUT_S) as client:
        begin = time.perf_counter()
        return (await piece_times(client, request(prompt, 2, end_ids, model=server.model)))[0] - begin


def in_threads(model: Any, n_threads: int, n_tokens: int) -> float:
    """Tokens a second of threads that share one Belle."""
    bias = dict.fromkeys(model.tokenizer.vocabulary.end_ids, -100.0)
    results: list[Any] = []

    def ask(index: int) -> None:
        prompt = f"Question {index}: {time.time_ns()}"
        results.append(model.generate(prompt, raw=True, temperature=0, max_tokens=n_tokens, logit_bias=bias))

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(n_threads)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(result.completion_tokens for result in results) / (time.perf_counter() - begin)


def median_of(repeat: int, measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(repeat))


def measured_threads(model: Path, isa: str | None, args: argparse.Namespace) -> tuple[Figures, list[int]]:
    """What one process does without a server; and the ids that end an answer."""
    from belle_edge import Belle

    with Belle.load(model, isa=isa, memory_check=False) as belle:
        bias = dict.fromkeys(belle.tokenizer.vocabulary.end_ids, -100.0)

        def alone() -> float:
            stream = belle.stream(
                "Once upon a time", raw=True, temperature=0, max_tokens=args.tokens, logit_bias=bias
            )
            times = [time.perf_counter() for _ in stream]
            return (len(times) - 1) / (times[-1] - times[0])

        figures = {
            "direct_tokens_per_s": median_of(args.repeat, alone),
            "threads_1": median_of(args.repeat, lambda: in_threads(belle, 1, args.tokens)),
            f"threads_{args.streams}": median_of(
                args.repeat, lambda: in_threads(belle, args.streams, args.tokens)
            ),
        }
        return figures, sorted(belle.tokenizer.vocabulary.end_ids)


def measured_server(args: argparse.Namespace, end_ids: list[int]) -> Figures:
    figures: Figures = {}
    with tempfile.TemporaryDirectory() as folder:
        options = [*(["--isa", args.isa] if args.isa else []), *args.serve_options.split()]
        if "--prefix-folder" not in args.serve_options and args.prefixes:
            options += ["--prefix-folder", str(Path(folder) / "prefixes")]
        shared = words(args.shared, "Beginning")
        with belle_server(args.model, options) as server:
            figures["beginning_first_s"] = asyncio.run(first_token(server, shared + " one", end_ids))
            figures["beginning_again_s"] = asyncio.run(first_token(server, shared + " two", end_ids))
            figures["stream_tokens_per_s"] = median_of(
                args.repeat, lambda: asyncio.run(one_stream(server, args.tokens, end_ids))
            )
            for n_streams in (1, args.streams):
                figures[f"together_{n_streams}"] = median_of(
                    args.repeat, lambda n=n_streams: asyncio.run(together(server, n, args.tokens, end_ids))
                )
            rounds = [asyncio.run(newcomer(server, args.long, end_ids)) for _ in range(args.repeat)]
            figures |= {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
        with belle_server(args.model, options) as server:
            asyncio.run(first_token(server, "warm", end_ids))
            figures["beginning_restarted_s"] = asyncio.run(first_token(server, shared + " three", end_ids))
    return figures


def measured_peer(args: argparse.Namespace, end_ids: list[int]) -> Figures:
    with peer_server(args.model, args.peer) as server:
        asyncio.run(together(server, 1, 4, end_ids))
        return {
            f"peer_together_{n}": median_of(
                args.repeat, lambda n=n: asyncio.run(together(server, n, args.tokens, end_ids))
            )
            for n in (1, args.streams)
        }


def report(figures: Figures, streams: int) -> None:
    for name, value in figures.items():
        print(f"{name:24} {value:10.3f}")
    both = [("together", "together"), ("threads", "threads"), ("peer_together", "peer")]
    for name, label in both:
        if f"{name}_{streams}" in figures:
            print(
                f"{label}: {streams} at once {figures[f'{name}_{streams}'] / figures[f'{name}_1']:.2f} times one"
            )
    if f"peer_together_{streams}" in figures:
        ratio = figures[f"together_{streams}"] / figures[f"peer_together_{streams}"]
        print(f"over llama-cpp-python's server, {streams} at once: {ratio:.2f}")
    print(f"over HTTP / direct: {figures['stream_tokens_per_s'] / figures['direct_tokens_per_s']:.3f}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--peer", type=Path, help="a Python with llama-cpp-python[server]")
    parser.add_argument("--isa")
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--long", type=int, default=1500)
    parser.add_argument("--shared", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument(
        "--serve-options", default="", help="further options of belle-edge serve, in one text"
    )
    parser.add_argument("--no-prefixes", dest="prefixes", action="store_false", help="keep nothing on disk")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        figures, end_ids = measured_threads(args.model, args.isa, args)
        figures |= measured_server(args, end_ids)
        if args.peer:
            figures |= measured_peer(args, end_ids)
        report(figures, args.streams)
        if args.json:
            args.json.write_text(json.dumps({"model": args.model.name, "isa": args.isa, **figures}, indent=1))
        return 0
    return 130


if __name__ == "__main__":
    sys.exit(main())

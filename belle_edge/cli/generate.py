"""`belle-edge generate`: answer prompts given as argument, file or standard input."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..strict_json import JsonError, parse
from ..terminal_text import printable
from .options import (
    add_engine_arguments,
    add_format_arguments,
    add_model_argument,
    add_sampling_arguments,
    check_chat_format,
    open_model,
    sampling_settings,
)
from .reports import report, speed_line
from .terminal import LOGGER, text_writer

if TYPE_CHECKING:
    from ..generation import Generation, Stream
    from ..model import Belle

_CHUNK = 64  # prompts whose answers are printed together; the model takes 16 of them at a time


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Define the command's arguments."""
    parser = subparsers.add_parser(
        "generate",
        help="answer one prompt, or many",
        description="Answer a prompt. Without PROMPT and --file it is read from standard input.",
    )
    add_model_argument(parser)
    prompt = parser.add_mutually_exclusive_group()
    prompt.add_argument("prompt", metavar="PROMPT", nargs="?")
    prompt.add_argument("--file", type=Path, metavar="PATH", help="read the prompt from a UTF-8 text file")
    many = parser.add_mutually_exclusive_group()
    many.add_argument("--lines", action="store_true", help="every line of the input is a prompt of its own")
    many.add_argument(
        "--jsonl",
        action="store_true",
        help='every line is JSON: a text, or an object with the text under "prompt"',
    )
    parser.add_argument("--raw", action="store_true", help="no chat template, no preset, no stop strings")
    parser.add_argument("--json", action="store_true", help="print one JSON line per prompt instead of text")
    parser.add_argument(
        "--logprobs",
        type=int,
        metavar="N",
        help="with --json: log-probabilities of the tokens, and the N most probable at each step",
    )
    parser.add_argument(
        "--stream", action=argparse.BooleanOptionalAction, default=True, help="print text while it is written"
    )
    add_format_arguments(parser)
    add_engine_arguments(parser)
    add_sampling_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    if args.logprobs is not None and not args.json:
        raise ValueError("--logprobs needs --json, which is where they are shown")
    text = _read_text(args)
    prompts = list(_prompts(text, jsonl=args.jsonl)) if args.lines or args.jsonl else [text]
    settings = {**sampling_settings(args), "max_tokens": args.max_tokens, "raw": args.raw}
    if args.logprobs is not None:
        settings["top_logprobs"] = args.logprobs
    check_chat_format(args)
    with open_model(args) as model:
        if args.lines or args.jsonl:
            _answer_many(prompts, model, settings, as_json=args.json)
        else:
            _answer(model.stream(text, **settings), model, as_json=args.json, live=args.stream)
    return 0


def _answer_many(prompts: list[str], model: Belle, settings: dict[str, Any], *, as_json: bool) -> None:
    """Print the answers in the order of the prompts; prompt i uses seed + i."""
    for start in range(0, len(prompts), _CHUNK):
        chunk = prompts[start : start + _CHUNK]
        seed = None if settings["seed"] is None else settings["seed"] + start
        try:
            results = model.generate_batch(chunk, **{**settings, "seed": seed})
        except ValueError as error:
            raise ValueError(
                f"prompts {start} to {start + len(chunk) - 1}: {error}" if start else str(error)
            ) from error
        for result in results:
            _print(result, model, as_json=as_json)


def _answer(stream: Stream, model: Belle, *, as_json: bool, live: bool) -> None:
    """Print the answer to one prompt, piece by piece if `live`."""
    if live and not as_json:
        write = text_writer(sys.stdout)
        for piece in stream:
            write(piece)
        write("\n")
        LOGGER.info("%s", speed_line(stream.result, model))
        return
    _print(stream.finish(), model, as_json=as_json)


def _print(result: Generation, model: Belle, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(report(result, model), ensure_ascii=False), flush=True)
    else:
        print(printable(result.text) if sys.stdout.isatty() else result.text, flush=True)
    LOGGER.info("%s", speed_line(result, model))


def _read_text(args: argparse.Namespace) -> str:
    if args.prompt is not None:
        return str(args.prompt)
    if args.file is None and sys.stdin.isatty():
        print("belle-edge: type the prompt, end it with Ctrl-D (Ctrl-Z on Windows)", file=sys.stderr)
    text: str = args.file.read_text(encoding="utf-8-sig") if args.file is not None else sys.stdin.read()
    return text.removesuffix("\n").removesuffix("\r")


def _prompts(text: str, *, jsonl: bool) -> Iterator[str]:
    """The prompts of a text with one per line; empty lines are left out."""
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.removesuffix("\r")
        if not line.strip():
            continue
        if not jsonl:
            yield line
            continue
        try:
            value = parse(line)
        except JsonError as error:
            raise ValueError(f"line {number} is not JSON: {error}") from error
        prompt = value.get("prompt") if isinstance(value, dict) else value
        if not isinstance(prompt, str):
            raise ValueError(f'line {number}: expected a text, or an object with a text under "prompt"')
        yield prompt

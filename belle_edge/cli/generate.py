"""`belle-edge generate`: answer prompts given as argument, file or standard input."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..languages import t
from ..text.terminal_text import printable
from .constraint_options import add_constraint_arguments, constraint_settings
from .model_source import add_model_argument
from .options import (
    add_encoding_argument,
    add_engine_arguments,
    add_format_arguments,
    add_sampling_arguments,
    check_chat_format,
    input_encoding,
    open_model,
    sampling_settings,
)
from .reports import report, speed_line
from .shared_options import add_json_argument
from .terminal import LOGGER, text_writer
from .text_input import argument_text, decoded, read_input

if TYPE_CHECKING:
    from .._core import GgufFile
    from ..generation.streams import Generation, Stream
    from ..model import Belle


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Define the command's arguments."""
    parser = subparsers.add_parser(
        "generate",
        help=t("answer one prompt, or many"),
        description=t("Answer a prompt. Without PROMPT and --file it is read from standard input."),
    )
    add_model_argument(parser)
    prompt = parser.add_mutually_exclusive_group()
    prompt.add_argument("prompt", metavar="PROMPT", nargs="?")
    prompt.add_argument(
        "--file", type=Path, metavar="PATH", help=t("read the prompt from a text file, - is standard input")
    )
    add_encoding_argument(parser)
    many = parser.add_mutually_exclusive_group()
    many.add_argument(
        "--lines", action="store_true", help=t("every line of the input is a prompt of its own")
    )
    many.add_argument(
        "--jsonl",
        action="store_true",
        help=t(
            'every line is JSON: a text, or an object with the text under "prompt", an id and settings of its own'
        ),
    )
    parser.add_argument("--raw", action="store_true", help=t("no chat template, no preset, no stop strings"))
    add_json_argument(parser, help=t("print one JSON line per prompt instead of text"))
    parser.add_argument(
        "--logprobs",
        type=int,
        metavar="N",
        help=t("with --json: log-probabilities of the tokens, and the N most probable at each step"),
    )
    parser.add_argument(
        "--stream",
        action=argparse.BooleanOptionalAction,
        default=True,
        help=t("print text while it is written"),
    )
    add_constraint_arguments(parser)
    add_format_arguments(parser)
    add_engine_arguments(parser)
    add_sampling_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    if args.logprobs is not None and not args.json:
        raise ValueError("--logprobs needs --json, which is where they are shown")
    settings = {**sampling_settings(args), "max_tokens": args.max_tokens, "raw": args.raw}
    settings |= constraint_settings(args)
    if args.logprobs is not None:
        settings["top_logprobs"] = args.logprobs
    file = check_chat_format(args)
    if args.lines or args.jsonl:
        return _answer_many(args, file, settings)
    text = _read_text(args)
    with open_model(args, file) as model:
        _answer(model.stream(text, **settings), model, as_json=args.json, live=args.stream)
    return 0


def _answer_many(args: argparse.Namespace, file: GgufFile | None, settings: dict[str, Any]) -> int:
    """Answer every line; prompt i, counted from 0, uses seed + i. Returns 1 where a line was refused."""
    from .many_prompts import LineAnswers
    from .prompt_lines import prompt_lines

    encoding = input_encoding(args)
    if args.prompt is not None:
        content, where = argument_text(args.prompt, encoding).encode("utf-8", "surrogatepass"), "PROMPT"
        encoding = None
    else:
        content, where = read_input(args.file)
    lines = list(prompt_lines(content, jsonl=args.jsonl, encoding=encoding, where=where))
    with open_model(args, file) as model:
        n_refused = LineAnswers(model, settings, as_json=args.json, quiet=args.quiet).run(lines)
    return 1 if n_refused else 0


def _read_text(args: argparse.Namespace) -> str:
    """The one prompt; a newline at its end is not part of it."""
    encoding = input_encoding(args)
    if args.prompt is not None:
        return argument_text(args.prompt, encoding)
    content, where = read_input(args.file)
    return decoded(content, encoding=encoding, where=where).removesuffix("\n")


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

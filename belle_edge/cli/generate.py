"""`belle-edge generate`: answer one prompt given as argument, file or standard input."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..generation import Generation, Stream
    from ..model import Belle

_SAMPLING_FLAGS: tuple[tuple[str, type, str], ...] = (
    ("temperature", float, "0 takes the most probable token each time"),
    ("top_k", int, "keep the K most probable tokens, 0 all"),
    ("top_p", float, "keep the most probable tokens of this total probability"),
    ("min_p", float, "keep tokens at least this fraction as probable as the best"),
    ("repetition_penalty", float, "above 1: seen tokens become less probable"),
    ("presence_penalty", float, "subtracted from the logits of seen tokens"),
    ("frequency_penalty", float, "subtracted once per occurrence"),
    ("seed", int, "the same seed, file and settings give the same text"),
)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Define the command's arguments."""
    parser = subparsers.add_parser(
        "generate",
        help="answer one prompt",
        description="Answer one prompt. Without PROMPT and --file the prompt is read from standard input.",
    )
    parser.add_argument("model", metavar="MODEL.gguf", type=Path)
    prompt = parser.add_mutually_exclusive_group()
    prompt.add_argument("prompt", metavar="PROMPT", nargs="?")
    prompt.add_argument("--file", type=Path, metavar="PATH", help="read the prompt from a UTF-8 text file")
    parser.add_argument("--raw", action="store_true", help="no chat template, no preset, no stop strings")
    parser.add_argument(
        "--max-tokens", type=int, default=256, metavar="N", help="length of the answer (default 256)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON line instead of text")
    parser.add_argument(
        "--stream", action=argparse.BooleanOptionalAction, default=True, help="print text while it is written"
    )
    add_engine_arguments(parser)
    sampling = parser.add_argument_group("sampling (default: the file's own preset)")
    for name, kind, text in _SAMPLING_FLAGS:
        sampling.add_argument(
            f"--{name.replace('_', '-')}", type=kind, metavar=kind.__name__.upper(), help=text
        )
    sampling.add_argument(
        "--stop", action="append", metavar="TEXT", help="end before this text; may be repeated"
    )
    parser.set_defaults(run=run)


def add_engine_arguments(parser: argparse.ArgumentParser) -> None:
    """--threads, --isa, --context and --kv, as `Belle.load` takes them."""
    parser.add_argument(
        "--threads", type=int, metavar="N", help="default: every processor this process may use"
    )
    parser.add_argument(
        "--isa", metavar="TIER", help="instruction-set tier, see `belle-edge info` (default: the best)"
    )
    parser.add_argument(
        "--context", type=int, metavar="N", help="tokens of prompt and answer (default: as trained)"
    )
    parser.add_argument(
        "--kv", choices=("auto", "f16", "f32"), default="auto", help="type of the key/value cache"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from ..model import Belle

    prompt = _read_prompt(args)
    settings = {name: getattr(args, name) for name, _, _ in _SAMPLING_FLAGS}
    settings["stop"] = args.stop
    with Belle.load(
        args.model, threads=args.threads, isa=args.isa, context=args.context, kv=args.kv
    ) as model:
        stream = model.stream(prompt, max_tokens=args.max_tokens, raw=args.raw, **settings)
        if args.json:
            print(json.dumps(_report(_drain(stream), model), ensure_ascii=False))
            return 0
        if args.stream:
            for piece in stream:
                print(piece, end="", flush=True)
            print(flush=True)
        else:
            print(_drain(stream).text)
        if args.verbose:
            print(speed_line(stream.result, model), file=sys.stderr)
    return 0


def speed_line(result: Generation, model: Belle) -> str:
    """Token counts and speeds of one answer, for people."""
    prefill_s = result.timings.prefill_s
    details = model.details
    return (
        f"{result.prompt_tokens} prompt tokens in {prefill_s * 1e3:.0f} ms, "
        f"{result.completion_tokens} tokens at {result.tokens_per_second:.1f} tokens/s "
        f"({details['isa']}, {details['threads']} threads)"
    )


def _read_prompt(args: argparse.Namespace) -> str:
    if args.prompt is not None:
        return str(args.prompt)
    if args.file is None and sys.stdin.isatty():
        print("belle-edge: type the prompt, end it with Ctrl-D (Ctrl-Z on Windows)", file=sys.stderr)
    text: str = args.file.read_text(encoding="utf-8") if args.file is not None else sys.stdin.read()
    return text.removesuffix("\n").removesuffix("\r")


def _drain(stream: Stream) -> Generation:
    for _ in stream:
        pass
    return stream.result


def _report(result: Generation, model: Belle) -> dict[str, Any]:
    return {
        "text": result.text,
        "token_ids": list(result.token_ids),
        "finish_reason": result.finish_reason,
        "prompt_tokens": result.prompt_tokens,
        "completion_tokens": result.completion_tokens,
        "prefill_s": round(result.timings.prefill_s, 6),
        "decode_s": round(result.timings.decode_s, 6),
        "tokens_per_s": round(result.tokens_per_second, 3),
        "isa": model.details["isa"],
        "threads": model.details["threads"],
    }

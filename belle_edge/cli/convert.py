"""`belle-edge convert`: a checkpoint to a GGUF file."""

from __future__ import annotations

import argparse
import json
from typing import Any

from ..languages import t
from .optimization_options import add_optimization_arguments, optimization
from .shared_options import (
    add_family_argument,
    add_force_argument,
    add_json_argument,
    add_threads_argument,
    add_type_argument,
    add_type_rule_arguments,
    type_rules,
)
from .source_options import add_source_arguments, source_options
from .standard_streams import say_error, say_note


def add_parser(subparsers: Any) -> None:
    """Register the command on an argparse subparsers object."""
    parser = subparsers.add_parser(
        "convert",
        help=t("convert a BLOOM or LLaMA checkpoint, in any form it was published in, to a GGUF file"),
        description=t(
            "Convert a BLOOM or LLaMA checkpoint (a folder, a weight file or a hub id; plain, encrypted, GPTQ, "
            "with LoRA adapters, Meta's own, or llama.cpp's from before GGUF) to a GGUF file, or a GGUF to other types."
        ),
    )
    parser.add_argument(
        "src",
        metavar="SRC",
        help=t("folder with config.json and weights, a weight file, a GGUF file, or a hub id (org/name)"),
    )
    parser.add_argument(
        "-o", "--output", metavar="OUT.gguf", help=t("file to write (may be left out with --dry-run)")
    )
    add_type_argument(parser, "-t")
    add_family_argument(parser, help=t("prompt family, if the one recognised is wrong"), none=True)
    parser.add_argument(
        "--vocab",
        metavar="zh,en",
        help=t("keep only the tokens of these languages (BLOOM), for a smaller file; ids change"),
    )
    parser.add_argument(
        "--vocab-from",
        action="append",
        default=[],
        metavar="FILE",
        help=t(
            "keep the tokens of this text, .json or .jsonl file (may be repeated, and joined with --vocab)"
        ),
    )
    add_type_rule_arguments(parser)
    add_optimization_arguments(parser)
    add_source_arguments(parser)
    add_threads_argument(parser)
    add_force_argument(parser, help=t("overwrite an existing output, drop an interrupted conversion"))
    parser.add_argument("--resume", action="store_true", help=t("go on with an interrupted conversion"))
    parser.add_argument(
        "--dry-run", action="store_true", help=t("write nothing; predict exact size and memory")
    )
    add_json_argument(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Convert as the arguments say. Returns the exit code; the converter's errors pass through."""
    from contextlib import nullcontext

    from belle_edge.convert import TrimRequest, convert
    from belle_edge.convert.progress import terminal_progress

    if args.output is None and not args.dry_run:
        say_error(t("give the file to write with -o OUT.gguf (or --dry-run)"))
        return 2
    try:
        with nullcontext(None) if args.json or args.quiet else terminal_progress() as progress:
            report = convert(
                args.src,
                args.output,
                type=type_rules(args),
                family=args.family,
                source=source_options(args),
                trim=TrimRequest.from_arguments(
                    args.vocab.split(",") if args.vocab is not None else (), args.vocab_from
                ),
                optimize=optimization(args),
                force=args.force,
                resume=args.resume,
                dry_run=args.dry_run,
                threads=args.threads or 0,
                progress=progress,
            )
    except KeyboardInterrupt:
        say_note(t("interrupted; --resume goes on where it stopped"))
        return 130
    if args.json:
        print(json.dumps(report.to_dict(), ensure_ascii=False))
    elif not args.quiet:
        report.print()
    return 0

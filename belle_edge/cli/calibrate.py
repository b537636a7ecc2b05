"""`belle-edge calibrate`: second moments of a model's inputs over texts, for conversions that round with them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..languages import t
from .shared_options import (
    add_family_argument,
    add_force_argument,
    add_json_argument,
    add_threads_argument,
)
from .source_options import add_source_arguments, source_options
from .standard_streams import say_note
from .terminal import print_lines


def add_parser(subparsers: Any) -> None:
    """Register the command on an argparse subparsers object."""
    from ..convert.moments.token_bounds import FEWEST_TOKENS, PLENTY_OF_TOKENS

    parser = subparsers.add_parser(
        "calibrate",
        help=t("measure what a model's matrices are multiplied with, so that convert rounds them better"),
        description=t(
            "Compute second moments of the inputs of every matrix over texts, layer by layer, and write them to a file"
            " for `belle-edge convert`. The file is an imatrix for llama.cpp's tools as well."
        ),
    )
    parser.add_argument(
        "src",
        metavar="MODEL",
        help=t("folder with config.json and weights, a weight file, a GGUF file, or a hub id (org/name)"),
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help=t("file to write (default: the model's name with -moments.gguf, in this folder)"),
    )
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="FILE",
        help=t(
            "texts: .json, .jsonl or plain text (may be repeated; default: Chinese and English instructions that come"
            " with the package)"
        ),
    )
    parser.add_argument(
        "--tokens",
        type=int,
        metavar="N",
        help=t(
            "tokens to compute, at most (default: {n} for a model of 7B, up to {most} for smaller ones)",
            n=FEWEST_TOKENS,
            most=PLENTY_OF_TOKENS,
        ),
    )
    parser.add_argument(
        "--imatrix-only",
        action="store_true",
        help=t("energies of columns alone, as llama.cpp has them: a small file"),
    )
    add_family_argument(parser, help=t("prompt family, if the one recognised is wrong"), none=True)
    add_source_arguments(parser)
    add_threads_argument(parser)
    add_force_argument(parser, help=t("overwrite an existing output, drop an interrupted calibration"))
    parser.add_argument("--resume", action="store_true", help=t("go on with an interrupted calibration"))
    add_json_argument(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Calibrate as the arguments say. Returns the exit code; the errors pass through."""
    from contextlib import nullcontext

    from belle_edge.convert.moments.calibrate import calibrate
    from belle_edge.convert.progress import terminal_progress

    try:
        with (
            nullcontext(None) if args.json or args.quiet else terminal_progress(t("calibrating")) as progress
        ):
            report = calibrate(
                args.src,
                args.output if args.output is not None else default_output(args.src),
                data=args.data or None,
                tokens=args.tokens,
                imatrix_only=args.imatrix_only,
                family=args.family,
                source=source_options(args),
                force=args.force,
                resume=args.resume,
                threads=args.threads or 0,
                progress=progress,
            )
    except KeyboardInterrupt:
        say_note(t("interrupted; --resume goes on where it stopped"))
        return 130
    if args.json:
        print(json.dumps(report.to_dict(), ensure_ascii=False))
    elif not args.quiet:
        print_lines(report.lines())
    return 0


def default_output(src: str) -> str:
    """The name of the file where none is given: from a folder, a file without its suffix, the end of a hub id."""
    path = Path(src).expanduser()
    name = path.absolute().name if path.is_dir() else path.stem if path.is_file() else src.rsplit("/", 1)[-1]
    return f"{name}-moments.gguf"

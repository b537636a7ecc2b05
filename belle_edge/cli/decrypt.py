"""`belle-edge decrypt`: encrypted BELLE files to plain ones."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..languages import t
from .shared_options import add_force_argument, add_json_argument
from .standard_streams import say_note
from .terminal import print_lines

if TYPE_CHECKING:
    from belle_edge.convert.decryption import DecryptionReport


def add_parser(subparsers: Any) -> None:
    """Register the command on an argparse subparsers object."""
    parser = subparsers.add_parser(
        "decrypt",
        help=t("decrypt BELLE's .enc files to a folder"),
        description=t(
            "Decrypt BELLE's .enc files to a folder. Only for the files themselves: convert reads encrypted"
            " folders as they are, with --key."
        ),
    )
    parser.add_argument("src", metavar="SRC", help=t("folder with .enc files, or one of them"))
    parser.add_argument(
        "--key", metavar="PTH", required=True, help=t("consolidated.00.pth of Meta's LLaMA-7B, or its folder")
    )
    parser.add_argument("-o", "--output", metavar="DIR", required=True, help=t("folder for the files"))
    add_force_argument(parser, help=t("replace files whose content is another one"))
    add_json_argument(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Decrypt as the arguments say. Returns the exit code; errors pass through."""
    from contextlib import nullcontext

    from belle_edge.convert.decryption import decrypt
    from belle_edge.convert.progress import terminal_progress

    silent = args.json or args.quiet
    try:
        with nullcontext(None) if silent else terminal_progress(t("decrypting")) as progress:
            report = decrypt(args.src, args.output, key=args.key, force=args.force, progress=progress)
    except KeyboardInterrupt:
        say_note(t("interrupted; complete files stay, the same command goes on"))
        return 130
    if args.json:
        print(json.dumps(report.to_dict(), ensure_ascii=False))
    elif not args.quiet:
        print_lines(_lines(report))
    return 0


def _lines(report: DecryptionReport) -> Iterator[str]:
    from ..memory import size_text

    width = max(len(file.name) for file in report.files)
    for file in report.files:
        state = (
            t("was there already, SHA-256 as published")
            if file.was_there
            else t("decrypted, SHA-256 as published")
        )
        yield f"{file.name:<{width}}  {size_text(file.size_bytes):>10}  {state}"
    if report.not_encrypted:
        names = ", ".join(report.not_encrypted)
        yield t("not encrypted, left in {folder}: {names}", folder=report.source, names=names)
    size = size_text(report.n_bytes)
    yield t("{size} in {seconds:.1f} s, in {folder}", size=size, seconds=report.seconds, folder=report.output)

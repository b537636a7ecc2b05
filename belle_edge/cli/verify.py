"""`belle-edge verify`: is a GGUF file as it was written?"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from .options import add_model_argument
from .terminal import LOGGER

if TYPE_CHECKING:
    from ..verification import FileReport
    from ..verification.integrity import ProgressCallback


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Define the command's arguments."""
    parser = subparsers.add_parser(
        "verify",
        help="check a GGUF file for damage",
        description="Check the structure of a GGUF file, and every byte of one that belle-edge wrote against the "
        "checksums in it.",
    )
    add_model_argument(parser)
    parser.add_argument(
        "--threads", type=int, metavar="N", help="default: every processor this process may use"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON line")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from ..verification import verify_file

    if args.threads is not None and args.threads < 1:
        raise ValueError(f"--threads: expected at least 1, got {args.threads}")
    start = time.perf_counter()
    with nullcontext(None) if args.json or args.quiet else _progress_bar() as progress:
        report = verify_file(args.model, threads=args.threads, progress=progress)
    seconds = time.perf_counter() - start
    LOGGER.info("%.2f s, %.1f GB/s", seconds, report.size_bytes / 1e9 / max(seconds, 1e-9))
    if args.json:
        print(json.dumps(report.to_dict(), ensure_ascii=False))
    else:
        print("\n".join(_lines(report)))
    return 0


def _lines(report: FileReport) -> Iterator[str]:
    from ..memory import size_text

    yield f"{report.file}  {size_text(report.size_bytes)}, GGUF v{report.gguf_version}"
    yield f"structure     sound: {report.n_metadata} metadata entries, {report.n_tensors} tensors"
    if not report.verified:
        yield "this file carries no checksums (not written by belle-edge): only its structure was checked"
        return
    yield f"header        {size_text(report.header_bytes)} as written"
    chunks = (
        f"{report.n_chunks} chunk{'s' if report.n_chunks != 1 else ''} of {size_text(report.chunk_bytes)}"
    )
    yield f"data          {size_text(report.size_bytes - report.header_bytes)} as written, in {chunks}"
    yield f"every byte matches its checksum ({report.algorithm})"


@contextmanager
def _progress_bar() -> Iterator[ProgressCallback | None]:
    """A callback that draws a bar on standard error, or None where that is not a terminal."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (
        TextColumn("verifying"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("verifying", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)

"""`belle-edge verify`: is a GGUF file as it was written, and is it what its source says?"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from .._core import MAX_THREADS
from ..languages import said, t, tn
from ..languages.columns import labelled, padded, right
from ..settings import integer
from .options import add_file_argument
from .shared_options import add_json_argument, add_threads_argument
from .source_options import add_source_arguments, source_options
from .terminal import LOGGER, print_lines

if TYPE_CHECKING:
    from ..verification import ContentReport, FileReport
    from ..verification.contents import StageCallback
    from ..verification.statistics import TensorStatistics

_MOST_PROBLEMS = 24  # that people are shown


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Define the command's arguments."""
    parser = subparsers.add_parser(
        "verify",
        help=t("check a GGUF file for damage"),
        description=t(
            "Check the structure of a GGUF file, and every byte of one that belle-edge wrote against the "
            "checksums in it; on request also what it holds, alone or against the checkpoint it was made from. "
            "The exit code is 1 where something is wrong."
        ),
    )
    add_file_argument(parser)
    parser.add_argument(
        "--against",
        metavar="SRC",
        help=t("compare tensors, tokenizer and metadata with this checkpoint, given as to `convert`"),
    )
    parser.add_argument(
        "--statistics",
        action="store_true",
        help=t("show minimum, maximum, mean, rms and zeros of each tensor"),
    )
    parser.add_argument(
        "--round-trip",
        action="store_true",
        help=t("encode and decode sample texts with the file's tokenizer"),
    )
    add_source_arguments(parser)
    add_threads_argument(parser)
    add_json_argument(parser, help=t("print one JSON line"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from ..verification import verify_contents, verify_file

    if args.threads is not None:
        integer("--threads", args.threads, low=1, high=MAX_THREADS)
    start = time.perf_counter()
    contents = None
    with nullcontext(None) if args.json or args.quiet else _progress_bar() as progress:
        reading = None if progress is None else lambda done, total: progress(t("verifying"), done, total)
        report = verify_file(args.model, threads=args.threads, progress=reading)
        if args.against is not None or args.statistics or args.round_trip:
            contents = verify_contents(
                args.model,
                against=args.against,
                source_options=source_options(args),
                statistics=args.statistics,
                round_trip=args.round_trip,
                threads=args.threads,
                progress=progress,
            )
    seconds = time.perf_counter() - start
    LOGGER.info("%.2f s, %.1f GB/s", seconds, report.size_bytes / 1e9 / max(seconds, 1e-9))
    if args.json:
        found = {"ok": True} if contents is None else contents.to_dict()
        print(json.dumps({**report.to_dict(), **found}, ensure_ascii=False))
    elif not args.quiet:
        print_lines([*_lines(report), *(_content_lines(contents, args) if contents else ())])
    elif contents is not None and contents.problems:
        print_lines(_problem_lines(contents), stream=sys.stderr)
    return 0 if contents is None or contents.ok else 1


def _lines(report: FileReport) -> Iterator[str]:
    from ..memory import size_text

    yield f"{report.file}  {size_text(report.size_bytes)}, GGUF v{report.gguf_version}"
    counts = {"entries": report.n_metadata, "tensors": report.n_tensors}
    yield labelled(t("structure"), t("sound: {entries} metadata entries, {tensors} tensors", **counts))
    if report.n_parts > 1:
        yield labelled(t("split"), t("in {n} parts, all there and in order", n=report.n_parts))
    if report.rewritten is not None:
        changes = said(report.rewritten)
        text = t("changed by another program since belle-edge wrote it: {changes}", changes=changes)
        yield labelled(t("header"), text)
    if not report.verified:
        yield (
            t(
                "this file carries no checksums (its weights were written anew): only its structure was checked"
            )
            if report.rewritten
            else t(
                "this file carries no checksums (not written by belle-edge): only its structure was checked"
            )
        )
        return
    if report.rewritten is None:
        yield labelled(t("header"), t("{size} as written", size=size_text(report.header_bytes)))
    chunks = tn(
        "{size} as written, in {n} chunk of {chunk}",
        "{size} as written, in {n} chunks of {chunk}",
        n=report.n_chunks,
        size=size_text(report.size_bytes - report.header_bytes),
        chunk=size_text(report.chunk_bytes),
    )
    yield labelled(t("data"), chunks)
    yield (
        t("every byte matches its checksum ({algorithm})", algorithm=report.algorithm)
        if report.rewritten is None
        else t("every byte of the weights matches its checksum ({algorithm})", algorithm=report.algorithm)
    )


def _content_lines(report: ContentReport, args: argparse.Namespace) -> Iterator[str]:
    if args.statistics and report.statistics is not None:
        headings = (t("min"), t("max"), t("mean"), t("rms"))
        numbers = "".join(right(heading, 11) for heading in headings)
        yield f"{padded(t('tensors'), 39)}{numbers}  {t('zeros')}"
        yield from map(_statistics_line, report.statistics)
    if report.round_trip is not None:
        back = sum(sample.comes_back for sample in report.round_trip)
        counts = {"back": back, "n": len(report.round_trip)}
        text = t("{back} of {n} sample texts come back as they were", **counts)
        if report.comparison:
            same = sum(sample.same_ids is True for sample in report.round_trip)
            text += t(", {n} with the source's ids", n=same)
        yield labelled(t("tokenizer"), text)
    if report.comparison is not None:
        yield from _comparison_lines(report)
    yield from (t("note: {text}", text=said(note)) for note in report.notes)
    yield from _problem_lines(report)
    if report.comparison is not None and report.ok:
        yield t("the file is what {source} says", source=report.comparison.source)


def _problem_lines(report: ContentReport) -> Iterator[str]:
    yield from (t("wrong: {problem}", problem=said(problem)) for problem in report.problems[:_MOST_PROBLEMS])
    if (n_more := len(report.problems) - _MOST_PROBLEMS) > 0:
        yield t("and {n} more differences (--json lists all)", n=n_more)


def _statistics_line(tensor: TensorStatistics) -> str:
    values = (tensor.minimum, tensor.maximum, tensor.mean, tensor.rms)
    numbers = "".join(f"{value:11.4g}" if value is not None else f"{'-':>11}" for value in values)
    zeros = f"{100 * tensor.zeros:6.2f}%" if tensor.zeros is not None else f"{'-':>7}"
    return f"  {tensor.name:<32}{tensor.type:>5}{numbers}{zeros}" + (
        f"  {said(tensor.suspicion)}" if tensor.suspicion else ""
    )


def _comparison_lines(report: ContentReport) -> Iterator[str]:
    """A line for each type: how many tensors, and the largest errors among them."""
    tensors = report.comparison.tensors if report.comparison else []
    for kind in sorted({tensor.type for tensor in tensors}):
        group = [tensor for tensor in tensors if tensor.type == kind]
        good = sum(tensor.ok for tensor in group)
        rms = max((tensor.relative_rms or 0.0 for tensor in group if tensor.ok), default=0.0)
        text = t(
            "{good} of {n} tensors within the type's rounding, relative rms error up to {error:.2g}",
            good=good,
            n=len(group),
            error=rms,
        )
        yield labelled(kind, text)


@contextmanager
def _progress_bar() -> Iterator[StageCallback | None]:
    """A callback that draws a bar on standard error, or None where that is not a terminal."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(t("verifying"), total=None)
        yield lambda stage, done, total: bar.update(
            task, description=said(stage), completed=done, total=total
        )

"""`belle-edge compare`: what rounding cost a model's answers, beside its original."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..languages import current_translator, said, t
from .shared_options import (
    add_family_argument,
    add_force_argument,
    add_json_argument,
    add_threads_argument,
)
from .source_options import add_source_arguments, source_options
from .standard_streams import say_note
from .terminal import print_lines
from .wrapping import terminal_width

if TYPE_CHECKING:
    from ..quality.comparison import Comparison
    from ..quality.comparison.compare_options import Progress, Stage
    from ..quality.comparison.comparing import Compared


def add_parser(subparsers: Any) -> None:
    """Register the command on an argparse subparsers object."""
    parser = subparsers.add_parser(
        "compare",
        help=t("measure what rounding cost a model's answers, beside its original"),
        description=t(
            "Compare GGUF files with the model that they were made from, on the same texts: how far the next tokens are"
            " from its own, how often answers begin otherwise, and which prompts changed most."
        ),
    )
    parser.add_argument(
        "reference",
        metavar="REFERENCE",
        help=t("the original: a checkpoint as convert takes it (read layer by layer), or a GGUF file"),
    )
    parser.add_argument("candidates", nargs="+", metavar="CANDIDATE.gguf", help=t("files to compare with it"))
    _add_text_arguments(parser)
    parser.add_argument(
        "--backend",
        choices=("native", "llama.cpp", "reference"),
        default="native",
        help=t(
            "what candidates run on; reference: as float models, layer by layer, in little memory (default: native)"
        ),
    )
    parser.add_argument("--html", metavar="FILE", help=t("write a page with charts, readable offline"))
    add_force_argument(parser, help=t("overwrite an existing page"))
    add_family_argument(parser, help=t("prompt family, if the one recognised is wrong"), none=False)
    add_source_arguments(parser)
    add_threads_argument(parser)
    add_json_argument(parser, help=t("print the comparison as one JSON line, and nothing else"))
    parser.set_defaults(run=run)


def _add_text_arguments(parser: argparse.ArgumentParser) -> None:
    """What is read and written."""
    from ..quality.comparison.compare_defaults import DEFAULT_ANSWER, DEFAULT_TOKENS, DEFAULT_WORST

    parser.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="[LANGUAGE=]FILE",
        help=t(
            "texts: .json, .jsonl or plain text (may be repeated; default: questions in several languages that come"
            " with the package)"
        ),
    )
    parser.add_argument(
        "--max-tokens",
        type=int,
        default=DEFAULT_TOKENS,
        metavar="N",
        help=t("tokens of the texts, at most (default: {n})", n=DEFAULT_TOKENS),
    )
    parser.add_argument(
        "--worst",
        type=int,
        default=DEFAULT_WORST,
        metavar="N",
        help=t("prompts to show, those that changed most (default: {n})", n=DEFAULT_WORST),
    )
    parser.add_argument(
        "--answers",
        type=int,
        default=DEFAULT_ANSWER,
        metavar="N",
        help=t("tokens of both answers to these; 0: none (default: {n})", n=DEFAULT_ANSWER),
    )


def run(args: argparse.Namespace) -> int:
    """Compare as the arguments say. Returns the exit code; the errors pass through."""
    from ..output_files import check_output
    from ..quality.comparison.compare_options import CompareOptions
    from ..quality.comparison.comparing import compare
    from ..quality.comparison.report_lines import report_lines

    page = None if args.html is None else Path(args.html).expanduser()
    if page is not None:
        check_output(page, replace=args.force)  # before hours of work
    options = CompareOptions(
        backend=args.backend,
        max_tokens=args.max_tokens,
        worst=args.worst,
        answer_tokens=args.answers,
        family=args.family,
        source=source_options(args),
        threads=args.threads or 0,
    )
    with nullcontext(None) if args.json or args.quiet else _progress_bar() as progress:
        found = compare(args.reference, args.candidates, data=args.data, options=options, progress=progress)
    if not args.quiet:
        _say_notes(found, args.max_tokens)
    if page is not None:
        _write_page(found.comparison, page, replace=args.force)
    if args.json:
        print(found.comparison.to_json())
    elif not args.quiet:
        print_lines([*report_lines(found.comparison, width=terminal_width()), "", *_times(found.stages)])
    return 0


def _say_notes(found: Compared, max_tokens: int) -> None:
    """What is no part of the result."""
    for warning in found.warnings:
        say_note(t("warning: {text}", text=said(warning)))
    if found.is_cut:
        say_note(t("texts beyond {n:,} tokens were left out (--max-tokens)", n=max_tokens))


def _write_page(comparison: Comparison, page: Path, *, replace: bool) -> None:
    from ..quality.comparison_page import write_page

    write_page(comparison, page, current_translator().language, replace=replace)


def _times(stages: tuple[Stage, ...]) -> Iterator[str]:
    """A line for each thing that took time."""
    names = _stage_names()
    for name, shown in names.items():
        seconds = sum(stage.seconds for stage in stages if stage.name == name)
        n_tokens = sum(stage.n_tokens for stage in stages if stage.name == name)
        if seconds:
            yield t(
                "{what}: {n:,} tokens in {seconds:.1f} s ({rate:.0f} tokens/s)",
                what=shown,
                n=n_tokens,
                seconds=seconds,
                rate=n_tokens / seconds,
            )


def _stage_names() -> dict[str, str]:
    from ..quality.comparison.compare_defaults import ANSWERS, LAYERS, LOGITS

    return {LAYERS: t("layers"), LOGITS: t("next tokens"), ANSWERS: t("answers")}


@contextmanager
def _progress_bar() -> Iterator[Progress | None]:
    """A callback that draws a bar on standard error, or None where that is not a terminal."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    names = _stage_names()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(t("comparing"), total=None)

        def show(stage: str, done: int, total: int) -> None:
            if done == 0:  # a new stage, whose time is its own
                bar.reset(task, total=total)
            bar.update(task, description=names[stage], completed=done, total=total)

        yield show

"""`belle-edge perplexity`: how well a model predicts a text, by the rule of llama.cpp's tool, on either engine."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..languages import t
from ..settings import integer
from .model_source import add_model_argument
from .options import add_engine_arguments, add_format_arguments, open_model
from .shared_options import add_json_argument
from .terminal import print_lines

if TYPE_CHECKING:
    from ..convert.moments.data_files import DataFile
    from ..model import Belle
    from ..quality.perplexity.text_perplexity import Step

_FIGURES_A_LINE = 8


def add_parser(subparsers: Any) -> None:
    """Register the command on an argparse subparsers object."""
    parser = subparsers.add_parser(
        "perplexity",
        help=t("how well a model predicts a text, with the error of that number"),
        description=t(
            "Perplexity on a text, as llama.cpp's llama-perplexity counts it: in windows, the second half of each"
            " scored. Of records (.json, .jsonl) the answers are scored, behind their questions in the model's"
            " template."
        ),
    )
    add_model_argument(parser)
    parser.add_argument(
        "--data",
        action="append",
        required=True,
        metavar="FILE",
        help=t("a plain text, or records with answers in .json or .jsonl; may be repeated"),
    )
    parser.add_argument(
        "--chunks", type=int, metavar="N", help=t("windows, or records, at most (default: all)")
    )
    add_json_argument(parser)
    add_format_arguments(parser)
    add_engine_arguments(
        parser, context_help=t("tokens of a window (default: 512), or of a record (default: as trained)")
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command. Returns the exit code; the errors pass through."""
    from ..quality.texts.text_files import text_files

    if args.chunks is not None:
        integer("--chunks", args.chunks, low=1)
    files = text_files(args.data)
    with open_model(args) as model:
        results = [_measured(model, file, args) for file in files]
        if args.json:
            report = {"model": model.path.name, "engine": model.backend.name, "texts": results}
            print(json.dumps(report, ensure_ascii=False))
    return 0


def _measured(model: Belle, file: DataFile, args: argparse.Namespace) -> dict[str, Any]:
    """Measure on one file and, without --json, print what comes out meanwhile."""
    from ..quality.perplexity.perplexity_report import estimate_line, material_lines, to_dict
    from ..quality.perplexity.text_perplexity import measure, read_material

    material = read_material(model, file, context=args.context, most=args.chunks)
    running: list[float] = []
    is_shown = not args.json and not args.quiet
    if is_shown:
        print_lines(material_lines(material))
    with _bar(len(material.texts), shown=is_shown) as advance:

        def hear(step: Step) -> None:
            running.append(step.estimate.perplexity)
            advance(step)
            if is_shown and (len(running) % _FIGURES_A_LINE == 0 or step.n_done == step.n_texts):
                print(_figures(running), flush=True)

        estimate = measure(model, material, progress=hear)
    if not args.json:
        print_lines([estimate_line(estimate)])
    return to_dict(material, estimate, running)


def _figures(running: list[float]) -> str:
    """The perplexities after the last texts, as many as make a line, in the form of llama.cpp's tool."""
    first = (len(running) - 1) // _FIGURES_A_LINE * _FIGURES_A_LINE
    return "".join(f"[{place}]{value:.4f}," for place, value in enumerate(running[first:], start=first + 1))


@contextmanager
def _bar(n_texts: int, *, shown: bool) -> Iterator[Callable[[Step], None]]:
    """What draws a bar with the time left on standard error, where that is a terminal."""
    if not shown or not sys.stderr.isatty():
        yield lambda step: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=Console(stderr=True), transient=True, redirect_stdout=sys.stdout.isatty()
    ) as bar:
        task = bar.add_task(t("scoring"), total=n_texts)

        def advance(step: Step) -> None:
            text = t("scoring, perplexity {value}", value=f"{step.estimate.perplexity:.4f}")
            bar.update(task, completed=step.n_done, description=text)

        yield advance

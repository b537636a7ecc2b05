"""`belle-edge eval`: tasks on a model, offline, beside the figures that BELLE's authors published."""

from __future__ import annotations

import argparse
import copy
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..languages import t
from ..text.terminal_text import printable_line
from .model_source import add_model_argument
from .options import add_engine_arguments, add_format_arguments, check_chat_format, open_model
from .shared_options import add_force_argument, add_json_argument
from .standard_streams import say_note
from .terminal import print_lines

if TYPE_CHECKING:
    from ..model import Belle
    from ..quality.evaluation.evaluate import Progress
    from ..quality.evaluation.evaluation_settings import TaskChoice

_REFERENCE_TYPE = "f16"  # of a reference that has to be converted


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Define the command's arguments."""
    from ..quality.tasks.catalogue import OWN_TASKS

    parser = subparsers.add_parser(
        "eval",
        help=t("answer the questions of tasks, and score the answers"),
        description=t(
            "Run tasks of lm-evaluation-harness on a model, offline: translation, summarization, question answering and"
            " BELLE's evaluation set come with the package, others with the harness or as YAML files."
        ),
    )
    add_model_argument(parser)
    parser.add_argument(
        "--task",
        action="append",
        required=True,
        metavar="NAME[,NAME]",
        help=t(
            "{own}, a task of lm-eval, or a YAML file; may be repeated",
            own=", ".join(OWN_TASKS),
        ),
    )
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="[NAME=]FILE",
        help=t("records for a task of ours, .json or .jsonl (default: a few that come with the package)"),
    )
    parser.add_argument("--limit", type=int, metavar="N", help=t("only the first N records of each task"))
    parser.add_argument(
        "--num-fewshot",
        type=int,
        metavar="N",
        help=t("examples before a question (default: as the task says)"),
    )
    parser.add_argument(
        "--max-tokens", type=int, metavar="N", help=t("length of an answer (default: as the task says)")
    )
    parser.add_argument(
        "--reference",
        metavar="MODEL",
        type=Path,
        help=t("the float model: its answers stand for those that {task} does not have", task="eval-set"),
    )
    parser.add_argument(
        "--apply-chat-template",
        action="store_true",
        help=t("ask tasks of lm-eval in the model's chat template, too; ours always are"),
    )
    parser.add_argument(
        "-o", "--output", metavar="FOLDER", type=Path, help=t("keep answers, scored records and results here")
    )
    parser.add_argument("--resume", action="store_true", help=t("go on with an interrupted evaluation"))
    add_force_argument(parser, help=t("overwrite an earlier evaluation in FOLDER"))
    add_json_argument(parser)
    add_format_arguments(parser)
    add_engine_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from ..quality.evaluation.evaluate import evaluate
    from ..quality.evaluation.evaluation_settings import EvaluationSettings
    from ..quality.evaluation.table import table

    settings = EvaluationSettings(
        choices(args.task, args.data),
        limit=args.limit,
        num_fewshot=args.num_fewshot,
        max_tokens=args.max_tokens,
        apply_chat_template=args.apply_chat_template,
    )
    if settings.needs_template:
        check_chat_format(args)
    try:
        with _progress(quiet=args.quiet or args.json) as progress:
            found = evaluate(
                lambda: open_model(args),
                settings,
                open_reference=None if args.reference is None else lambda: _open_reference(args),
                output=None if args.output is None else args.output.expanduser(),
                resume=args.resume,
                force=args.force,
                progress=progress,
                verbose=args.verbose,
            )
    except KeyboardInterrupt:
        say_note(t("interrupted; --resume goes on where it stopped"))
        return 130
    if args.json:
        print(json.dumps(found.to_dict(), ensure_ascii=False))
    elif not args.quiet:
        print_lines(table(found))
    return 0


def choices(names: Sequence[str], data: Sequence[str]) -> tuple[TaskChoice, ...]:
    """What --task and --data say. ValueError for a file that belongs to no task, or to one of several."""
    from ..quality.evaluation.evaluation_settings import TaskChoice
    from ..quality.tasks.catalogue import OWN_TASKS

    tasks = [name.strip() for names_of_one in names for name in names_of_one.split(",") if name.strip()]
    files: dict[str, Path] = {}
    for text in data:
        name, separator, path = text.partition("=")
        if not separator or name not in OWN_TASKS:
            own = [task for task in tasks if task in OWN_TASKS]
            if len(own) != 1:
                expected = ", ".join(own or OWN_TASKS)
                raise ValueError(f"--data {text}: write NAME={text}, where NAME is one of {expected}")
            name, path = own[0], text
        if name not in tasks:
            raise ValueError(f"--data {text}: {name} is not among the tasks ({', '.join(tasks)})")
        if name in files:
            raise ValueError(f"--data {text}: {name} has a file already")
        files[name] = Path(path).expanduser()
    return tuple(TaskChoice(task, files.get(task)) for task in tasks)


def _open_reference(args: argparse.Namespace) -> Belle:
    reference = copy.copy(args)
    reference.model, reference.type, reference.revision = args.reference, _REFERENCE_TYPE, None
    return open_model(reference)


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Progress | None]:
    """A bar with the time left on standard error, or None where that is not a terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns: tuple[Any, ...] = (
        TextColumn("{task.description:<24}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    console = Console(file=sys.stderr)  # lm-eval's own output is kept away from what sys.stderr is meanwhile
    with Progress(
        *columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
    ) as bar:
        shown: dict[str, Any] = {}

        def show(task: str, done: int, total: int) -> None:
            if task not in shown:
                shown[task] = bar.add_task(printable_line(task), total=total, completed=done)
            bar.update(shown[task], completed=done, total=total)

        yield show

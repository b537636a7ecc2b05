"""`belle-edge batch`: answer every record of a file; a second start goes on after a stop."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..languages import t
from ..settings import integer
from .batch_files import TABLES, input_form, input_records, is_done, n_expected_records, opened_input
from .batch_progress import ProgressLine, forecast_lines
from .constraint_options import add_constraint_arguments, constraint_settings
from .model_source import add_model_argument
from .options import (
    add_encoding_argument,
    add_engine_arguments,
    add_format_arguments,
    add_sampling_arguments,
    check_chat_format,
    sampling_settings,
)
from .ray_options import add_ray_arguments, check_ray_arguments, job_model
from .shared_options import add_force_argument
from .standard_streams import say, say_note
from .terminal import LOGGER, print_lines

if TYPE_CHECKING:
    from ..batch.batch_job import Asks, BatchJob, JobCounts
    from ..batch.input_records import InputRecord
    from ..batch.job_output import JobOutput
    from ..batch.output_lines import OutputForm
    from ..batch.record_prompts import PromptRule
    from ..batch.result_fields import ResultFields
    from ..model import Belle

SOME_FAILED = 3  # exit code: all records are in the output, some of them as errors


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Define the command's arguments."""
    parser = subparsers.add_parser(
        "batch",
        help=t("answer every record of a file, and go on after a stop"),
        description=t(
            "Answer every record of a file. A second start of the same command goes on where the first one stopped."
        ),
    )
    add_model_argument(parser)
    parser.add_argument(
        "input",
        metavar="FILE",
        help=t(".jsonl, .csv, .tsv, .parquet, or a text with a prompt per line; - is standard input"),
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        default="-",
        help=t("JSON lines, or a table where the name ends in .csv or .tsv (default: standard output)"),
    )
    _add_record_arguments(parser)
    _add_run_arguments(parser)
    add_constraint_arguments(parser)
    add_format_arguments(parser)
    add_engine_arguments(parser)
    add_ray_arguments(parser)
    add_sampling_arguments(parser)
    parser.set_defaults(run=run, seed=0)


def _add_record_arguments(parser: argparse.ArgumentParser) -> None:
    from ..batch.input_records import FORMS

    group = parser.add_argument_group(t("records"))
    group.add_argument(
        "--input-format", choices=(*FORMS, "openai"), help=t("of FILE (default: by its ending)")
    )
    add_encoding_argument(parser)
    question = group.add_mutually_exclusive_group()
    question.add_argument(
        "--field", metavar="NAME", help=t("holds the prompt (default: messages, prompt, text or instruction)")
    )
    question.add_argument(
        "--template", metavar="TEXT", help=t("the prompt, with fields in braces, as 'Translate: {text}'")
    )
    group.add_argument(
        "--answer-field", metavar="NAME", default="answer", help=t("where the answer goes (default: answer)")
    )
    group.add_argument(
        "--spread",
        action="store_true",
        help=t("with --schema: each property of the answer in a field of its own"),
    )
    parser.add_argument("--raw", action="store_true", help=t("no chat template, no preset, no stop strings"))


def _add_run_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(t("the run"))
    group.add_argument(
        "--as-finished",
        action="store_true",
        help=t("write answers as they finish, not in the order of the input"),
    )
    group.add_argument(
        "--resume", action="store_true", help=t("go on with an interrupted job; one that is done is no error")
    )
    add_force_argument(group, help=t("begin anew, and replace the output"))
    group.add_argument("--fail-fast", action="store_true", help=t("stop at the first record that is refused"))
    group.add_argument(
        "--dry-run", action="store_true", help=t("count records and tokens, predict the time, write nothing")
    )
    group.add_argument("--limit", type=int, metavar="N", help=t("only the first N records"))
    group.add_argument(
        "--max-batch", type=int, default=16, metavar="N", help=t("records answered together (default 16)")
    )


def run(args: argparse.Namespace) -> int:
    """Run the command. Returns the exit code; the errors pass through."""
    from ..batch.record_prompts import PromptRule

    integer("--max-batch", args.max_batch, low=1)
    if args.limit is not None:
        integer("--limit", args.limit, low=1)
    if args.resume and (args.force or args.output == "-"):
        raise ValueError("--resume: it needs --output FILE, and does not go with --force")
    check_ray_arguments(args)
    form = input_form(args)
    settings = {**sampling_settings(args), "max_tokens": args.max_tokens, "raw": args.raw}
    settings |= constraint_settings(args, scored=True)
    rule = PromptRule(
        args.field,
        args.template,
        with_settings=form == "jsonl",
        answer_field=args.answer_field,
        more_results=_result_fields(args, settings).more,
    )
    if not args.dry_run and is_done(args):
        return 0
    file = check_chat_format(args)
    with opened_input(args) as content, job_model(args, file) as model:
        records = input_records(args, content, form)
        return _answered(args, model, records, rule, settings)


def _result_fields(args: argparse.Namespace, settings: Mapping[str, Any]) -> ResultFields:
    from ..batch.result_fields import ResultFields

    return ResultFields.of(args.answer_field, settings, spread=args.spread)


def _answered(
    args: argparse.Namespace,
    model: Belle,
    records: Iterator[InputRecord],
    rule: PromptRule,
    settings: dict[str, Any],
) -> int:
    from ..batch.batch_job import BatchJob

    first = next(records, None)
    asks, form = _question_and_form(args, model, rule, first, _result_fields(args, settings))
    settings["scored"] = form.refuses_cut  # not of OpenAI's requests, whose answers are written
    progress = ProgressLine(None if args.dry_run else n_expected_records(args), quiet=args.quiet)
    job = BatchJob(
        model,
        asks,
        form,
        settings=settings,
        max_batch=args.max_batch,
        fail_fast=args.fail_fast,
        on_progress=progress.show,
    )
    every = records if first is None else chain([first], records)
    if args.dry_run:
        return _predict(job, every, args)
    with closing(_output(args, model, form, {**settings, **vars(rule)})) as output:
        if output.n_earlier:
            say_note(t("going on: {n} records are answered", n=output.n_earlier))
        progress.begin_after(output.n_earlier)
        counts = _run_job(job, every, output, progress)
    LOGGER.info("%d records, %d refused", counts.n_records, counts.n_failed)
    if counts.n_failed:
        LOGGER.error("error: %d of %d records were refused", counts.n_failed, counts.n_records)
    return SOME_FAILED if counts.n_failed else 0


def _run_job(
    job: BatchJob, records: Iterator[InputRecord], output: JobOutput, progress: ProgressLine
) -> JobCounts:
    try:
        return job.run(records, output)
    except KeyboardInterrupt:
        progress.clear()
        say(t("stopped: the same command goes on"))
        raise
    finally:
        progress.clear()


def _predict(job: BatchJob, records: Iterator[InputRecord], args: argparse.Namespace) -> int:
    """Print what the job will take. Returns the exit code that the job would have, as far as that can be known."""
    from ..batch.forecast import forecast

    found = forecast(job, records, max_batch=args.max_batch)
    for problem in found.problems:
        LOGGER.error("error: %s", problem)
    print_lines(forecast_lines(found))
    return SOME_FAILED if found.n_refused else 0


def _question_and_form(
    args: argparse.Namespace,
    model: Belle,
    rule: PromptRule,
    first: InputRecord | None,
    results: ResultFields,
) -> tuple[Asks, OutputForm]:
    """How a record is asked, and how its result is written. ValueError for a table of OpenAI's responses."""
    from ..batch.openai_lines import OpenAiLines, is_request, request_item
    from ..batch.output_lines import JsonLines, Table

    delimiter = TABLES.get(Path(args.output).suffix.lower())
    fields = {} if first is None else first.fields
    if args.input_format == "openai" or (args.input_format is None and is_request(fields)):
        if delimiter is not None or rule.field is not None or rule.template is not None or args.spread:
            raise ValueError(
                "OpenAI's requests: they go without --field, --template and --spread, into JSON lines"
            )
        return lambda record: request_item(record.fields), OpenAiLines(model.path.stem)
    if delimiter is None:
        return lambda record: rule.item(record.fields), JsonLines(results)
    chosen = rule.with_settings and "choice" in fields
    table = Table(list(fields), results, delimiter=delimiter, chosen=chosen)
    return lambda record: rule.item(record.fields), table


def _output(
    args: argparse.Namespace, model: Belle, form: OutputForm, settings: Mapping[str, Any]
) -> JobOutput:
    from ..batch.job_identity import identity_of
    from ..batch.job_output import FileOutput, StreamOutput

    ordered = not args.as_finished
    if args.output == "-":
        return StreamOutput(sys.stdout.buffer, header=form.header, ordered=ordered)
    path = Path(args.output).expanduser()
    identity = identity_of(model, {**settings, "limit": args.limit})
    return FileOutput.open(path, identity, header=form.header, ordered=ordered, force=args.force)

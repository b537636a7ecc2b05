"""Files of `belle-edge batch`: the records of its input, and whether its output is finished already."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ..languages import t
from .options import input_encoding
from .standard_streams import require_input, say_note

if TYPE_CHECKING:
    from ..batch.input_records import InputRecord

TABLES = {".csv": ",", ".tsv": "\t"}  # ending of an output -> what stands between its cells


def input_form(args: argparse.Namespace) -> str:
    """One of FORMS: what the command line says, or the input's ending."""
    from ..batch.input_records import form_of

    form: str = args.input_format or form_of(args.input)
    return "jsonl" if form == "openai" else form


@contextmanager
def opened_input(args: argparse.Namespace) -> Iterator[BinaryIO]:
    """The input's bytes. OSError without them, ValueError where standard input is a terminal."""
    from ..regular_files import open_regular

    if args.input == "-":
        require_input()
        yield sys.stdin.buffer
        return
    with open_regular(Path(args.input).expanduser()) as file:
        yield file


def input_records(args: argparse.Namespace, content: BinaryIO, form: str) -> Iterator[InputRecord]:
    """The first --limit records."""
    from ..batch.input_records import read_records

    return islice(read_records(content, form, encoding=input_encoding(args)), args.limit)


def n_expected_records(args: argparse.Namespace) -> int | None:
    """How many records there are; None for a pipe."""
    return args.limit if args.input == "-" or args.quiet else _n_records(args)


def _n_records(args: argparse.Namespace) -> int:
    """How many records a file has, as far as its lines tell."""
    from ..batch.input_records import count_records

    with opened_input(args) as content:
        n_records = count_records(content, input_form(args), encoding=input_encoding(args))
    return n_records if args.limit is None else min(n_records, args.limit)


def is_done(args: argparse.Namespace) -> bool:
    """Whether a job that is to go on has nothing left. FileExistsError where another output is in the way."""
    from ..batch.job_output import journal_of
    from ..output_files import check_output

    if args.output == "-":
        return False
    path = Path(args.output).expanduser()
    if journal_of(path).exists():
        return False
    if args.resume and path.exists():
        _check_finished(args, path)
        say_note(t("{name} is there, and no journal beside it: the job is done", name=path.name))
        return True
    check_output(path, replace=args.force)
    return False


def _check_finished(args: argparse.Namespace, path: Path) -> None:
    """FileExistsError where an output without a journal has not as many records as the input."""
    from ..batch.input_records import count_records, form_of
    from ..regular_files import open_regular

    name, n_input = path.name, None if args.input == "-" else _n_records(args)
    with open_regular(path) as file:
        n_found = count_records(file, form_of(path.name) if path.suffix.lower() in TABLES else "jsonl")
    if n_input not in (None, n_found):
        raise FileExistsError(
            f"{name} has {n_found} records and the input {n_input}, and no journal is beside it: give another"
            " output for the new records, or begin anew with --force"
        )

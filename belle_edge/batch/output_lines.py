"""A result as a line of the output: JSON with the record's own fields, or a row of a table."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..generation.streams import Generation
from .input_records import InputRecord
from .record_prompts import RESULT_FIELDS

_PLACE = re.compile(r"^(\[[\w -]+\] )+")  # of the Python interface that a message names
_COUNTS = ("finish_reason", "prompt_tokens", "completion_tokens")


class OutputForm(Protocol):
    """How results are written."""

    @property
    def header(self) -> bytes: ...

    def problem(self, record: InputRecord) -> str | None:
        """Why a record cannot be written in this form; None where it can."""

    def line(self, record: InputRecord, outcome: Generation | Exception) -> bytes: ...


def problem_of(error: Exception) -> str:
    """An error as a record has it."""
    return _PLACE.sub("", " ".join(str(error).split()))


class JsonLines:
    """An object each: the record's fields, then the answer and its counts, or the error; and the line it came from."""

    header = b""

    def __init__(self, answer_field: str) -> None:
        self._answer_field = answer_field

    def problem(self, record: InputRecord) -> str | None:
        return None

    def line(self, record: InputRecord, outcome: Generation | Exception) -> bytes:
        values = {**record.fields, **result_fields(self._answer_field, outcome)}
        values.setdefault("line", record.line)
        return json.dumps(values, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


class Table:
    """A row each, under the columns of the first record and those of a result."""

    def __init__(self, columns: Sequence[str], answer_field: str, *, delimiter: str) -> None:
        self._answer_field = answer_field
        own = [name for name in columns if name not in (answer_field, *RESULT_FIELDS)]
        self._columns = [*own, answer_field, *RESULT_FIELDS, *([] if "line" in own else ["line"])]
        self._delimiter = delimiter

    @property
    def header(self) -> bytes:
        return self._row(self._columns)

    def problem(self, record: InputRecord) -> str | None:
        foreign = next((name for name in record.fields if name not in self._columns), None)
        return None if foreign is None else f'"{foreign}" is no column of the first record: write JSON lines'

    def line(self, record: InputRecord, outcome: Generation | Exception) -> bytes:
        values: dict[str, Any] = {"line": record.line, **record.fields}
        values |= result_fields(self._answer_field, outcome)
        return self._row([_cell(values.get(name)) for name in self._columns])

    def _row(self, cells: Sequence[str]) -> bytes:
        file = io.StringIO()
        csv.writer(file, delimiter=self._delimiter, lineterminator="\n").writerow(cells)
        return file.getvalue().encode("utf-8", "replace")


def result_fields(answer_field: str, outcome: Generation | Exception) -> Mapping[str, Any]:
    """What a result adds to its record. No time is among it: the same input gives the same bytes."""
    if isinstance(outcome, Exception):
        return {"error": problem_of(outcome)}
    return {answer_field: outcome.text, **{name: getattr(outcome, name) for name in _COUNTS}}


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

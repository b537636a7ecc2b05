"""A result as a line of the output: JSON with the record's own fields, or a row of a table."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any, Protocol

from ..generation.streams import Generation
from .input_records import InputRecord
from .result_fields import ResultFields


class OutputForm(Protocol):
    """How results are written."""

    @property
    def header(self) -> bytes: ...

    @property
    def refuses_cut(self) -> bool:
        """Whether an answer whose JSON is not whole counts as an error."""

    def problem(self, record: InputRecord) -> str | None:
        """Why a record cannot be written in this form; None where it can."""

    def line(self, record: InputRecord, outcome: Generation | Exception) -> bytes: ...


class JsonLines:
    """An object each: the record's fields, then the answer and its counts, or the error; and the line it came from."""

    header = b""
    refuses_cut = True

    def __init__(self, results: ResultFields) -> None:
        self._results = results

    def problem(self, record: InputRecord) -> str | None:
        return None

    def line(self, record: InputRecord, outcome: Generation | Exception) -> bytes:
        values = {**record.fields, **self._results.values(outcome)}
        values.setdefault("line", record.line)
        return json.dumps(values, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


class Table:
    """A row each, under the columns of the first record and those of a result."""

    refuses_cut = True

    def __init__(
        self, columns: Sequence[str], results: ResultFields, *, delimiter: str, chosen: bool = False
    ) -> None:
        """columns: of the records. chosen: whether records have choices of their own."""
        self._results = results
        more = results.columns(chosen=chosen)
        own = [name for name in columns if name not in more]
        self._columns = [*own, *more, *([] if "line" in own else ["line"])]
        self._delimiter = delimiter

    @property
    def header(self) -> bytes:
        return self._row(self._columns)

    def problem(self, record: InputRecord) -> str | None:
        foreign = next((name for name in record.fields if name not in self._columns), None)
        return None if foreign is None else f'"{foreign}" is no column of the first record: write JSON lines'

    def line(self, record: InputRecord, outcome: Generation | Exception) -> bytes:
        values: dict[str, Any] = {"line": record.line, **record.fields}
        values |= self._results.values(outcome, in_columns=True)
        return self._row([_cell(values.get(name)) for name in self._columns])

    def _row(self, cells: Sequence[str]) -> bytes:
        file = io.StringIO()
        csv.writer(file, delimiter=self._delimiter, lineterminator="\n").writerow(cells)
        return file.getvalue().encode("utf-8", "replace")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

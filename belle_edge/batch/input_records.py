"""The records of an input, one by one: JSON lines, CSV, TSV, plain lines, Parquet. A bad one has an error."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from ..strict_json import JsonError, parse
from ..text.encodings import guessed_encoding, marked_encoding
from .parquet_rows import n_parquet_rows, parquet_rows

FORMS = ("jsonl", "csv", "tsv", "lines", "parquet")
_ENDINGS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_MOST_CHARACTERS = 64 << 20  # of a line, and of a field
_UNDECODED = range(0xDC80, 0xDD00)  # what stands for a byte that is no text


@dataclass(frozen=True)
class InputRecord:
    """One record; `index` counts from 0, `line` from 1: where it begins in the file, in Parquet the row."""

    index: int
    line: int
    fields: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None

    @property
    def digest(self) -> str:
        """What tells whether it is the same record as in an earlier run."""
        text = json.dumps([self.fields, self.error], ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def form_of(name: str) -> str:
    """What a file's ending says about its content; plain lines for an unknown one, JSON lines for "-"."""
    if name == "-":
        return "jsonl"
    return next((form for ending, form in _ENDINGS.items() if name.lower().endswith(ending)), "lines")


def read_records(file: BinaryIO, form: str, *, encoding: str | None = None) -> Iterator[InputRecord]:
    """The records of `file`, read as they are asked for; empty lines are left out.

    form: one of FORMS. encoding None: UTF-8, or what a byte order mark says. ValueError for a table without a
    header that names its columns, where UTF-16 breaks off, and as `parquet_rows`.
    """
    if form == "parquet":
        yield from _rows(file)
        return
    buffered = file if hasattr(file, "peek") else io.BufferedReader(file)  # type: ignore[type-var]
    start = buffered.peek(4)[:4]
    codec = encoding or marked_encoding(start) or "utf-8"
    newline = "" if form in ("csv", "tsv") else None
    text = io.TextIOWrapper(buffered, encoding=codec, errors="surrogateescape", newline=newline)
    try:
        if form in ("csv", "tsv"):
            yield from _table(text, "\t" if form == "tsv" else ",")
        else:
            yield from _lines(text, as_json=form == "jsonl")
    except UnicodeError as error:
        raise ValueError(f"[input] the file is not {codec.upper()} text: {error}") from None
    finally:
        if not buffered.closed:  # else it would be closed with `text`
            text.detach()


def count_records(file: BinaryIO, form: str, *, encoding: str | None = None) -> int:
    """How many records `read_records` will find, without looking into JSON."""
    if form == "parquet":
        return n_parquet_rows(file)
    return sum(1 for _ in read_records(file, "lines" if form == "jsonl" else form, encoding=encoding))


def _lines(text: io.TextIOWrapper, *, as_json: bool) -> Iterator[InputRecord]:
    index = 0
    for number, line in enumerate(iter(lambda: text.readline(_MOST_CHARACTERS + 1), ""), start=1):
        content = line.rstrip("\n").removeprefix("\ufeff")
        if len(content) > _MOST_CHARACTERS:
            raise ValueError(f"[input] line {number}: more than {_MOST_CHARACTERS:,} characters")
        if not content.strip():
            continue
        if (problem := _undecoded(content, text.encoding)) is not None:
            yield InputRecord(index, number, error=problem)
        elif as_json:
            yield _json_record(index, number, content)
        else:
            yield InputRecord(index, number, {"text": content})
        index += 1


def _json_record(index: int, number: int, content: str) -> InputRecord:
    try:
        value = parse(content)
    except JsonError as error:
        return InputRecord(index, number, error=f"not JSON: {error}")
    if isinstance(value, str):
        return InputRecord(index, number, {"prompt": value})
    if not isinstance(value, dict):
        return InputRecord(index, number, error="expected a JSON object, or a text")
    return InputRecord(index, number, value)


def _table(text: io.TextIOWrapper, delimiter: str) -> Iterator[InputRecord]:
    csv.field_size_limit(_MOST_CHARACTERS)
    rows = csv.reader(text, delimiter=delimiter, strict=True)
    columns: list[str] = []
    index = line = 0
    while True:
        line = rows.line_num + 1
        try:
            row = next(rows, None)
        except csv.Error as error:
            if not columns:
                raise ValueError(f"[input] line {line}: {error}") from None
            yield InputRecord(index, line, error=f"not CSV: {error}")
            index += 1
            continue
        if row is None:
            return
        if not any(row):
            continue
        if not columns:
            columns = _columns(row)
            continue
        yield _row_record(index, line, columns, row, text.encoding)
        index += 1


def _rows(file: BinaryIO) -> Iterator[InputRecord]:
    for index, row in enumerate(parquet_rows(file)):
        if isinstance(row, ValueError):
            yield InputRecord(index, index + 1, error=str(row))
        else:
            yield InputRecord(index, index + 1, row)


def _columns(row: list[str]) -> list[str]:
    columns = [name.strip().removeprefix("\ufeff") for name in row]
    if not all(columns) or len(set(columns)) < len(columns):
        raise ValueError(f"[input] expected a header with a name of its own for each column, got {row}")
    return columns


def _row_record(index: int, line: int, columns: list[str], row: list[str], encoding: str) -> InputRecord:
    if (problem := _undecoded("".join(row), encoding)) is not None:
        return InputRecord(index, line, error=problem)
    fields = dict(zip(columns, row, strict=False))
    if len(row) != len(columns):
        return InputRecord(
            index, line, fields, error=f"expected {len(columns)} fields, as in the header, got {len(row)}"
        )
    return InputRecord(index, line, fields)


def _undecoded(text: str, encoding: str) -> str | None:
    """What to say of a text that has bytes of another encoding."""
    if text.isascii() or not any(ord(character) in _UNDECODED for character in text):
        return None
    name = {"utf-8-sig": "utf-8"}.get(encoding, encoding)
    guess = guessed_encoding(text.encode(encoding, "surrogateescape"))
    advice = (
        f"; it looks like {guess.upper()}: --encoding {guess} reads it" if guess not in (None, name) else ""
    )
    return f"not {name.upper()} text{advice}"

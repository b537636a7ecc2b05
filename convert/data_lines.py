"""The lines of data that users bring: UTF-8, one at a time, none longer than a bound. Errors name file and line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from belle_edge.errors import ConversionError
from belle_edge.regular_files import open_regular
from belle_edge.strict_json import JsonError, decode

MOST_LINE_BYTES = 16 << 20  # a text of five million Chinese characters
_BOM = "\ufeff"


def numbered_lines(path: Path, *, most_bytes: int = MOST_LINE_BYTES) -> Iterator[tuple[int, str]]:
    """(number, from 1; text with its newline) of each line.

    Raises ConversionError for a line that is longer than `most_bytes`, or not UTF-8; OSError where it cannot be read.
    """
    with open_regular(path) as file:
        number = 0
        while line := file.readline(most_bytes + 1):
            number += 1
            if len(line) > most_bytes:
                raise too_long(path, number, most_bytes)
            text = line_text(path, number, line)
            yield number, text.removeprefix(_BOM) if number == 1 else text


def line_text(path: Path, number: int, line: bytes) -> str:
    """The text of a line. ConversionError where it is not UTF-8, with the byte that is wrong."""
    try:
        return decode(line)
    except JsonError as error:
        raise ConversionError(f"[{path}] line {number}: {error}") from None


def too_long(path: Path, number: int, most_bytes: int) -> ConversionError:
    """The error for a line, or an item, beyond the bound."""
    return ConversionError(
        f"[{path}] line {number}: expected at most {most_bytes >> 20} MiB of text, got more: split it"
    )

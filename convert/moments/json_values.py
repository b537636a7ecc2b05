"""The values of a JSON file of any size, one at a time: a value on each line, or the items of one list.

Of a list no more is in memory than an item and what was read with it. Strings of JSON never hold a line break, so the
places of quotes, brackets and commas tell where an item ends; whether it is JSON the one reader of the package says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from belle_edge.convert.data_lines import MOST_LINE_BYTES, line_text, numbered_lines, too_long
from belle_edge.errors import ConversionError
from belle_edge.regular_files import open_regular
from belle_edge.strict_json import JsonError, parse

_PIECE_BYTES = 1 << 20
_BOM = b"\xef\xbb\xbf"
_MARKS = re.compile(
    rb'"[^"\\\n]*(?:\\.[^"\\\n]*)*("?)|[\[\]{},]'
)  # a string, closed or not, or what an item may end at


def json_values(path: Path) -> Iterator[tuple[int, Any]]:
    """(line that it begins in, from 1; the value) of each value in the file.

    Raises ConversionError, with the line, for what is not JSON or not UTF-8, and for more than 16 MiB in one value.
    """
    with open_regular(path) as file:
        is_list = _begins_a_list(file)
    return _items(path) if is_list else _line_values(path)


def _begins_a_list(file: BinaryIO) -> bool:
    first = file.read(len(_BOM)).removeprefix(_BOM)
    while first is not None and not first.strip():
        first = file.read(1 << 10)
        if not first:
            return False
    return first.lstrip().startswith(b"[")


def _line_values(path: Path) -> Iterator[tuple[int, Any]]:
    for number, line in numbered_lines(path):
        if line.strip():
            yield number, _parsed(path, number, line.rstrip())


def _items(path: Path) -> Iterator[tuple[int, Any]]:
    """Of the list that is the file's one value."""
    found = _ListItems(path)
    with open_regular(path) as file:
        while piece := file.readline(_PIECE_BYTES):
            yield from found.push(piece)
    found.finish()


class _ListItems:
    """Cuts the pieces of a file into the items of its list."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._line = 1
        self._depth = 0  # 1: between the items of the list
        self._is_over = False
        self._item, self._item_line, self._n_items = bytearray(), 1, 0
        self._rest = b""  # of the last piece: a string that goes on

    def push(self, piece: bytes) -> Iterator[tuple[int, Any]]:
        """The items that end in the next piece of the file, which ends with a line, or is as long as a piece may be."""
        ends_line = piece.endswith(b"\n")
        if ends_line and not self._rest:
            line_text(self._path, self._line, piece)
        piece, self._rest = self._rest + piece, b""
        at = 0  # what is before it belongs to items already
        for mark in _MARKS.finditer(piece):
            text = mark[0]
            if text.startswith(b'"'):
                if not mark[1]:
                    if ends_line:
                        raise self._error("a string that is not closed")
                    self._rest = piece[mark.start() :]
                    piece = piece[: mark.start()]
                    break
            elif self._depth == 0:
                at = self._begin(text, mark.end())
            elif text in (b"[", b"{"):
                self._depth += 1
            elif self._depth > 1:
                self._depth -= 0 if text == b"," else 1
            else:
                yield from self._end(piece[at : mark.start()], is_last=text != b",")
                at = mark.end()
        self._go_on(piece[at:], ends_line)

    def finish(self) -> None:
        """ConversionError unless the list is complete."""
        if not self._is_over:
            raise self._error("the list is not closed: is the file cut off?")

    def _begin(self, text: bytes, end: int) -> int:
        """The bracket that opens the list; nothing else stands before it or behind it."""
        if self._is_over or text != b"[":
            raise self._error("something follows the list")
        self._depth = 1
        self._item_line = self._line
        return end

    def _end(self, piece: bytes, *, is_last: bool) -> Iterator[tuple[int, Any]]:
        self._item += piece
        self._check_size(len(self._item))
        item, self._item = bytes(self._item), bytearray()
        if item.strip() or self._n_items or not is_last:
            begin = self._item_line + item[: len(item) - len(item.lstrip())].count(b"\n")
            yield begin, _parsed(self._path, begin, line_text(self._path, begin, item.strip()))
            self._n_items += 1
        self._item_line = self._line
        if is_last:
            self._depth, self._is_over = 0, True

    def _go_on(self, rest: bytes, ends_line: bool) -> None:
        """What no item has yet belongs to the next one."""
        if self._depth:
            self._item += rest
            self._check_size(len(self._item) + len(self._rest))
        elif self._is_over and rest.strip():
            raise self._error("something follows the list")
        self._line += ends_line

    def _check_size(self, n_bytes: int) -> None:
        if n_bytes > MOST_LINE_BYTES:
            raise too_long(self._path, self._item_line, MOST_LINE_BYTES)

    def _error(self, problem: str) -> ConversionError:
        return ConversionError(f"[{self._path}] line {self._line}: expected JSON, got: {problem}")


def _parsed(path: Path, line: int, content: str) -> Any:
    """A value that begins in `line`; data sets have NaN where a number is missing."""
    try:
        return parse(content, allow_nan=True)
    except JsonError as error:
        problem, place = str(error), line
        if isinstance(cause := error.__cause__, json.JSONDecodeError):
            problem, place = f"{cause.msg} (column {cause.colno})", line + cause.lineno - 1
        raise ConversionError(f"[{path}] line {place}: expected JSON, got: {problem}") from None

"""The texts of calibration files, one at a time and in order: JSON, JSON lines, plain text; and the bundled ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from belle_edge.convert.calibration_texts import calibration_text_paths
from belle_edge.convert.data_lines import numbered_lines
from belle_edge.convert.moments.data_records import DataText, record_text
from belle_edge.convert.moments.json_values import json_values
from belle_edge.convert.sources.checkpoint_files import require_regular
from belle_edge.errors import ConversionError

_JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
_PIECE_CHARS = 1 << 12  # of plain text that is tokenized together
_HELD_OUT_EACH = 16  # of so many texts one is kept for measuring, the second: two texts have one
_SHARES: Mapping[str, float] = MappingProxyType({"zh": 0.45, "en": 0.40})  # of the bundled texts' tokens
_OTHER_SHARE = 0.15


@dataclass(frozen=True)
class DataFile:
    """One file of texts."""

    path: Path
    name: str  # for the moments file: never a folder
    language: str | None = None  # of a bundled one, or as the user says
    share: float = 1.0  # of all tokens, against the other files'

    @property
    def is_json(self) -> bool:
        """Whether it holds records; else it is running text."""
        return self.path.suffix.lower() in _JSON_SUFFIXES

    def texts(self, *, held_out: bool = False) -> Iterator[tuple[int, DataText]]:
        """(line, text) of all but every 16th text, or with `held_out` of these, which are kept to measure with.

        Raises ConversionError as `all_texts`.
        """
        for number, (line, text) in enumerate(self.all_texts(), start=1):
            if held_out == (number % _HELD_OUT_EACH == 2):
                yield line, text

    def all_texts(self) -> Iterator[tuple[int, DataText]]:
        """(line, text) of each record that is not empty; of plain text, of many lines together.

        Raises ConversionError that names file and line for what cannot be read, and for nothing usable.
        """
        is_empty = True
        for line, text in self._records() if self.is_json else _plain_pieces(self.path):
            if not text.is_empty:
                is_empty = False
                yield line, text
        if is_empty:
            raise ConversionError(
                f"[{self.path}] nothing usable in it: expected texts, dialogues or instructions with answers"
            )

    def _records(self) -> Iterator[tuple[int, DataText]]:
        for line, value in json_values(self.path):
            try:
                text = record_text(value)
            except ValueError as error:
                raise ConversionError(f"[{self.path}] line {line}: {error}") from None
            yield line, text


def data_files(paths: list[Path]) -> list[DataFile]:
    """Files that a user names. ConversionError for what is no file, and for an empty one."""
    files = []
    for path in (path.expanduser() for path in paths):
        require_regular(path)
        if not path.is_file():
            raise ConversionError(f"[{path}] no such file: expected a text, .json or .jsonl file")
        if path.stat().st_size == 0:
            raise ConversionError(f"[{path}] is empty: expected texts")
        files.append(DataFile(path, path.name.encode("utf-8", "replace").decode()))
    return files


def bundled_files() -> list[DataFile]:
    """The texts that come with the package, Chinese first."""
    return [
        DataFile(path, f"belle-edge:{path.stem}", path.stem, _SHARES.get(path.stem, _OTHER_SHARE))
        for path in calibration_text_paths()
    ]


def _plain_pieces(path: Path) -> Iterator[tuple[int, DataText]]:
    """Whole lines, some thousand characters at a time."""
    lines: list[str] = []
    n_chars, begin = 0, 1
    for number, line in numbered_lines(path):
        if not lines:
            begin = number
        lines.append(line)
        n_chars += len(line)
        if n_chars >= _PIECE_CHARS:
            yield begin, DataText(text="".join(lines))
            lines, n_chars = [], 0
    if lines:
        yield begin, DataText(text="".join(lines))

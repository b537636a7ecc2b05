"""The journal of a partial file: which tensors and source files are done, so that a conversion can go on after a kill.

A text file of JSON lines. The first says which conversion it belongs to; each later one names what was finished since,
and is written only after the data itself has reached the disk. A last line that is cut off is ignored.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from belle_edge.errors import ConversionError
from belle_edge.strict_json import JsonError, parse

_VERSION = 1
SECONDS_BETWEEN_RECORDS = 1.0  # each waits for the disk


def journal_path(path: Path) -> Path:
    """The journal of a target."""
    return path.with_name(path.name + ".journal")


class Journal:
    """Notes what is done. A context manager: on leaving, what was noted last is recorded too."""

    def __init__(self, path: Path, data: IO[bytes], *, tensors: set[str], files: set[str]) -> None:
        self._path, self._data = path, data
        self.tensors, self.files = tensors, files  # done by earlier runs and by this one
        self._new: dict[str, list[str]] = {"tensors": [], "files": []}
        self._recorded_at = time.monotonic()

    @classmethod
    def open(cls, target: Path, data: IO[bytes], *, conversion: str, resume: bool) -> Journal:
        """The journal of `target`, whose partial file is `data`.

        conversion: a hash of everything that decides the output. Without `resume`, or without a usable journal, both
        files start anew. So they do when the partial file is empty: a run that was killed between giving its file the
        target's name and removing the journal leaves a journal of data that is elsewhere by now. ConversionError when
        the journal is of another conversion.
        """
        path = journal_path(target)
        lines = _read_lines(path) if resume and os.fstat(data.fileno()).st_size > 0 else []
        if lines:
            if lines[0] != {"version": _VERSION, "conversion": conversion}:
                raise ConversionError(
                    f"[{path.name}] the interrupted conversion had another source or other options; repeat them, or"
                    " start again with --force"
                )
        else:
            data.truncate(0)
            lines = [{"version": _VERSION, "conversion": conversion}]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        done = {key: {name for line in lines for name in line.get(key, [])} for key in ("tensors", "files")}
        return cls(path, data, tensors=done["tensors"], files=done["files"])

    def note_tensor(self, name: str) -> None:
        """A tensor has been written completely."""
        self._new["tensors"].append(name)
        self.tensors.add(name)
        if time.monotonic() - self._recorded_at >= SECONDS_BETWEEN_RECORDS:
            self._record()

    def note_file(self, name: str) -> None:
        """A source file has been read to its end and is as it was published."""
        self._new["files"].append(name)
        self.files.add(name)

    def remove(self) -> None:
        """The conversion is complete, or worth nothing."""
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and not issubclass(kind, ConversionError):
            with suppress(OSError):  # the disk may be what is wrong
                self._record()

    def _record(self) -> None:
        new = {key: names for key, names in self._new.items() if names}
        if new:
            os.fsync(self._data.fileno())
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(new) + "\n")
                file.flush()
                os.fsync(file.fileno())
        self._new = {"tensors": [], "files": []}
        self._recorded_at = time.monotonic()


def _read_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a journal; empty where there is none, or none that can be read."""
    if not path.is_file():
        return []
    lines = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            value = parse(text)
        except JsonError:
            break
        if not isinstance(value, dict):
            break
        lines.append(value)
    return lines

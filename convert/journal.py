"""The journal of a partial file: which tensors and source files are done, so that a conversion can go on after a kill.

A text file of JSON lines. The first says which conversion it belongs to; each later one names what was finished since,
and is written only after the data itself has reached the disk. What was measured of a tensor stands in the same line. A
last line that is cut off is ignored.
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
from belle_edge.regular_files import kind_of
from belle_edge.strict_json import JsonError, parse

_VERSION = 1
SECONDS_BETWEEN_RECORDS = 1.0  # each waits for the disk


def journal_path(path: Path) -> Path:
    """The journal of a target."""
    return path.with_name(path.name + ".journal")


class Journal:
    """Notes what is done. A context manager: on leaving, what was noted last is recorded too."""

    def __init__(
        self,
        path: Path,
        lines: IO[bytes],
        data: IO[bytes],
        *,
        tensors: set[str],
        files: set[str],
        measured: dict[str, list[float]],
    ) -> None:
        self._path, self._lines, self._data = path, lines, data
        self.tensors, self.files = tensors, files  # done by earlier runs and by this one
        self.measured = measured  # of tensors that are done, where there is anything
        self._new: dict[str, list[str]] = {"tensors": [], "files": []}
        self._recorded_at = time.monotonic()

    @classmethod
    def open(cls, target: Path, data: IO[bytes], *, conversion: str, resume: bool) -> Journal:
        """The journal of `target`, whose partial file is `data`.

        conversion: a hash of everything that decides the output. Without `resume`, or without a usable journal, both
        files start anew. So they do when the partial file is empty: a run that was killed between giving its file the
        target's name and removing the journal leaves a journal of data that is elsewhere by now. ConversionError when
        the journal is of another conversion, or no file of ours.
        """
        path = journal_path(target)
        check_own_file(path, "the journal of a conversion")
        first = {"version": _VERSION, "conversion": conversion}
        content, done = _read_lines(path) if resume and os.fstat(data.fileno()).st_size > 0 else (b"", [])
        if done and done[0] != first:
            raise ConversionError(
                f"[{path.name}] the interrupted conversion had another source or other options; repeat them, or"
                " start again with --force"
            )
        if not done:
            data.truncate(0)
            content = _line(first)
        path.unlink(missing_ok=True)
        lines = path.open("xb", buffering=0)
        lines.write(content)
        names = {key: {name for line in done for name in line.get(key, [])} for key in ("tensors", "files")}
        measured = {name: values for line in done for name, values in line.get("measured", {}).items()}
        return cls(path, lines, data, tensors=names["tensors"], files=names["files"], measured=measured)

    def note_tensor(self, name: str, measured: list[float] | None = None) -> None:
        """A tensor has been written completely; `measured` is what a later run cannot measure any more."""
        self._new["tensors"].append(name)
        self.tensors.add(name)
        if measured is not None:
            self.measured[name] = measured
        if time.monotonic() - self._recorded_at >= SECONDS_BETWEEN_RECORDS:
            self.record()

    def note_file(self, name: str) -> None:
        """A source file has been read to its end and is as it was published."""
        self._new["files"].append(name)
        self.files.add(name)

    def remove(self) -> None:
        """The conversion is complete, or worth nothing. A later run's journal of this name stays."""
        own = os.fstat(self._lines.fileno())
        self.close()
        with suppress(FileNotFoundError):
            if os.path.samestat(own, self._path.lstat()):
                self._path.unlink()

    def close(self) -> None:
        """Release the file, which stays for a later run."""
        self._lines.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and not issubclass(kind, ConversionError):
            with suppress(OSError):  # the disk may be what is wrong
                self.record()

    def record(self) -> None:
        """What was noted is on the disk when this returns, with the data it is about."""
        new: dict[str, Any] = {key: names for key, names in self._new.items() if names}
        if new:
            measured = {name: self.measured[name] for name in self._new["tensors"] if name in self.measured}
            new |= {"measured": measured} if measured else {}
            os.fsync(self._data.fileno())
            self._lines.write(_line(new))
            os.fsync(self._lines.fileno())
        self._new = {"tensors": [], "files": []}
        self._recorded_at = time.monotonic()


def check_own_file(path: Path, what: str) -> None:
    """ConversionError where a name that this converter writes to, or removes, has something that it did not make."""
    try:
        status = path.lstat()
    except OSError:  # none, or opening it says what is wrong
        return
    kind = kind_of(status.st_mode) or (
        "a file with a second name (hard link)" if status.st_nlink > 1 else None
    )
    if kind is not None:
        raise ConversionError(f"[{path}] expected {what}, found {kind}: move it away")


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"


def _read_lines(path: Path) -> tuple[bytes, list[dict[str, Any]]]:
    """The whole lines of a journal, as they are and parsed; empty where there is none, or none that can be read."""
    content, lines = b"", []
    if not path.is_file():
        return content, []
    for text in path.read_bytes().splitlines(keepends=True):
        try:
            value = parse(text)
        except JsonError:
            break
        if not isinstance(value, dict) or not text.endswith(b"\n"):
            break
        content += text
        lines.append(value)
    return content, lines

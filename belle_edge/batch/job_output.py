"""Where results go: a file with a journal beside it, so that a second start goes on; or a stream, once.

Each result is in the journal before it is in the output. What the output has to hold follows from the journal alone;
so after a kill the output is brought up to it, and what was being written is asked again. The journal is put on the
disk every few seconds: a power cut loses what came after.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from ..errors import BelleError
from ..journal_lines import as_read_back, differences, line_of, whole_lines
from ..output_files import check_output, lock_file
from ..regular_files import irregular

_VERSION = 1
_SYNC_S = 5.0  # between two moments at which the journal is on the disk


class JobChangedError(BelleError, ValueError):
    """An interrupted job had other settings, another input, or its output was changed since."""


class JobOutput(Protocol):
    """What takes results."""

    n_earlier: int  # results of earlier runs
    n_failed_earlier: int  # errors among them

    def is_done(self, index: int, digest: str, line: int) -> bool: ...

    def add(self, index: int, digest: str, content: bytes, *, failed: bool) -> None: ...

    def finish(self) -> None: ...

    def close(self) -> None: ...


class _Order:
    """Hands on lines as they come, or in the order of their records."""

    def __init__(self, *, ordered: bool) -> None:
        self._ordered = ordered
        self._waiting: dict[int, bytes] = {}
        self._next = 0

    def ready(self, index: int, content: bytes) -> Iterator[bytes]:
        if not self._ordered:
            yield content
            return
        self._waiting[index] = content
        while self._next in self._waiting:
            yield self._waiting.pop(self._next)
            self._next += 1


class StreamOutput:
    """A pipe or a terminal: nothing is remembered."""

    n_earlier = n_failed_earlier = 0

    def __init__(self, file: BinaryIO, *, header: bytes, ordered: bool) -> None:
        self._file, self._order = file, _Order(ordered=ordered)
        self._write(header)

    def is_done(self, index: int, digest: str, line: int) -> bool:
        return False

    def add(self, index: int, digest: str, content: bytes, *, failed: bool) -> None:
        for ready in self._order.ready(index, content):
            self._write(ready)

    def finish(self) -> None:
        """Nothing is left behind."""

    def close(self) -> None:
        """The stream is not ours."""

    def _write(self, content: bytes) -> None:
        self._file.write(content)
        self._file.flush()


class FileOutput:
    """A file that grows by whole lines, and its journal, which goes when the job is done."""

    def __init__(self, path: Path, journal: BinaryIO, *, header: bytes, ordered: bool) -> None:
        """Use `FileOutput.open`. journal: holds whole lines, and is locked."""
        self._path, self._journal = path, journal
        self._synced = time.monotonic()
        self._order = _Order(ordered=ordered)
        self.n_earlier = self.n_failed_earlier = 0
        self._file = path.open("r+b" if path.exists() else "w+b", buffering=0)
        try:
            self._catch_up(header)
        except BaseException:
            self._file.close()
            raise
        self._earlier = _entries(journal_of(path))
        self._read: dict[int, str] = {}  # of the journal, beyond what was asked for
        self._n_unread = self.n_earlier

    @classmethod
    def open(
        cls, path: Path, settings: Mapping[str, Any], *, header: bytes, ordered: bool, force: bool
    ) -> FileOutput:
        """Begin a job, or go on with the one whose journal is there.

        settings: all that decides the output, but the records. force: begin anew, whatever is there. JobChangedError
        where the journal is of another job or another process writes it; FileExistsError where the output is there
        without a journal; other OSErrors.
        """
        journal_path = journal_of(path)
        for taken in (path, journal_path):
            check_output(taken, replace=True)
        journal = os.fdopen(
            os.open(journal_path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)), "r+b", 0
        )
        try:
            if not lock_file(journal):
                raise JobChangedError(
                    f"[{journal_path.name}] another process is at this job: wait for its end"
                )
            first = as_read_back({"version": _VERSION, **settings, "ordered": ordered})
            if not _continue(path, journal, first, force=force):
                _check_new(path, journal_path, force=force)
                journal.truncate(0)
                journal.seek(0)
                journal.write(line_of(first))
                if path.exists():
                    os.truncate(path, 0)
            return cls(path, journal, header=header, ordered=ordered)
        except BaseException:
            journal.close()
            raise

    def is_done(self, index: int, digest: str, line: int) -> bool:
        """Whether an earlier run wrote this record. JobChangedError where it was another record."""
        while index not in self._read and self._n_unread:
            entry = next(self._earlier)
            self._read[entry["record"]] = entry["digest"]
            self._n_unread -= 1
        found = self._read.pop(index, None)
        if found not in (None, digest):
            raise JobChangedError(
                f"[{journal_of(self._path).name}] line {line} of the input is not what it was when it was answered:"
                " give the same input, or begin anew with --force"
            )
        return found is not None

    def add(self, index: int, digest: str, content: bytes, *, failed: bool) -> None:
        """Write a result down; a kill of this process does not lose it."""
        entry = {"record": index, "digest": digest, "failed": failed, "line": content.decode()}
        self._journal.write(line_of(entry))
        if time.monotonic() - self._synced > _SYNC_S:
            os.fsync(self._journal.fileno())
            self._synced = time.monotonic()
        for ready in self._order.ready(index, content):
            self._file.write(ready)

    def finish(self) -> None:
        """The job is done: its output is on the disk, and the journal goes. JobChangedError for too short an input."""
        if self._read or self._n_unread:
            raise JobChangedError(
                f"[{journal_of(self._path).name}] the input has fewer records than were answered: give the same"
                " input, or begin anew with --force"
            )
        os.fsync(self._file.fileno())
        if sys.platform == "win32":  # an open file cannot be removed there
            self._journal.close()
        journal_of(self._path).unlink(missing_ok=True)

    def close(self) -> None:
        """Release the files, which stay."""
        self._file.close()
        self._journal.close()

    def _catch_up(self, header: bytes) -> None:
        """Make the output what the journal says."""
        self._match(header)
        for entry in _entries(journal_of(self._path)):
            self.n_earlier += 1
            self.n_failed_earlier += bool(entry["failed"])
            for ready in self._order.ready(entry["record"], entry["line"].encode("utf-8", "replace")):
                self._match(ready)
        self._file.truncate()

    def _match(self, content: bytes) -> None:
        """`content` stands in the output at this place: check what is there of it, and write the rest.

        Zeros are what a power cut leaves of a piece that was not on the disk yet.
        """
        read = _read_exactly(self._file, len(content))
        found = read if content.startswith(read) else read.rstrip(b"\0")
        if found != read:
            self._file.seek(len(found) - len(read), os.SEEK_CUR)
        if not content.startswith(found):
            raise JobChangedError(
                f"[{self._path.name}] it was changed since the job wrote it: begin anew with --force, or move it away"
            )
        self._file.write(content[len(found) :])


def journal_of(path: Path) -> Path:
    """The journal of an output."""
    return path.with_name(path.name + ".journal")


def _check_new(path: Path, journal_path: Path, *, force: bool) -> None:
    """FileExistsError where a new job would write over a file. The empty journal that opening made goes again."""
    try:
        check_output(path, replace=force)
    except OSError:
        if irregular(journal_path) is None and journal_path.stat().st_size == 0:
            journal_path.unlink()
        raise


def _continue(path: Path, journal: BinaryIO, first: Any, *, force: bool) -> bool:
    """Whether the journal is of this job; then it ends with a whole line. JobChangedError where it is of another."""
    if force:
        return False
    end, then = 0, None
    for at, value in whole_lines(journal_of(path)):
        if then is None:
            then = value
        elif not {"record", "digest", "failed", "line"} <= value.keys():
            break
        end = at
    if then is None and journal.seek(0, os.SEEK_END) == 0:
        return False
    if then is None or "version" not in then:
        raise JobChangedError(
            f"[{journal_of(path).name}] expected the journal of a job, found something else: move it away"
        )
    if then != first:
        raise JobChangedError(
            f"[{journal_of(path).name}] the interrupted job had something else under {differences(then, first)}:"
            " repeat its settings, or begin anew with --force"
        )
    journal.truncate(end)
    journal.seek(end)
    return True


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    lines = whole_lines(path)
    next(lines, None)  # the settings
    for _, value in lines:
        yield value


def _read_exactly(file: BinaryIO, n_bytes: int) -> bytes:
    content = b""
    while len(content) < n_bytes and (piece := file.read(n_bytes - len(content))):
        content += piece
    return content

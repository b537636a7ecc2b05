"""Which process is still writing: a locked file for each. The system frees the lock of a process that dies."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from .records import new_id

_TRIES = 8


class WriterMark:
    """The mark of one opened history. `id` stands in the rows of answers that it is writing."""

    def __init__(self, database: Path) -> None:
        """database: its path; the mark lies next to it. Raises OSError."""
        self._database = database
        for _ in range(_TRIES):
            self.id = new_id()
            self._path = _mark_path(database, self.id)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            if _try_lock(self._descriptor):
                return
            os.close(self._descriptor)  # another process took the new file for one of a dead process
        raise OSError(f"[history] {self._path} cannot be locked here: name another folder in BELLE_DATA")

    def alive(self, id: str) -> bool:
        """Whether the process that has the mark `id` still runs. The file of a dead one is removed."""
        if id == self.id:
            return True
        path = _mark_path(self._database, id)
        try:
            descriptor = os.open(path, os.O_RDWR)
        except OSError:
            return False
        try:
            if not _try_lock(descriptor):
                return True
        finally:
            os.close(descriptor)
        with suppress(OSError):
            path.unlink()
        return False

    def remove_dead(self) -> None:
        """Remove the marks that dead processes left, whether or not they wrote anything."""
        beginning = f"{self._database.name}.writer-"
        for path in self._database.parent.glob(f"{beginning}*"):
            self.alive(path.name.removeprefix(beginning))

    def close(self) -> None:
        """Give the mark back."""
        with suppress(OSError):
            os.close(self._descriptor)
        with suppress(OSError):
            self._path.unlink()


def _mark_path(database: Path, id: str) -> Path:
    return database.with_name(f"{database.name}.writer-{id}")


def _try_lock(descriptor: int) -> bool:
    """Lock a file for this opening of it. False where another one has it."""
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

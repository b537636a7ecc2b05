"""How a file gets its name: complete, never through a link, and in place of another one only if that is meant."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO

from .regular_files import irregular


def check_output(path: Path, *, replace: bool) -> None:
    """FileExistsError where `path` is taken, unless `replace`; other OSErrors where it can be no file at all."""
    kind = irregular(path)
    if kind is not None:
        number = errno.EISDIR if kind == "a folder" else errno.EEXIST
        raise OSError(number, f"expected a file name for the output, found {kind}", str(path))
    if not replace and os.path.lexists(path):
        raise _taken(path)


def publish(part: Path, path: Path, *, replace: bool) -> None:
    """Give a complete file its name, at once. What links to or from `path` keeps its content.

    replace: a file of this name gives way; without, FileExistsError, however late the other one appeared.
    """
    if replace:
        os.replace(part, path)
        return
    try:
        _rename_exclusively(part, path)
    except FileExistsError:
        raise _taken(path) from None


@contextmanager
def whole_file(path: Path, *, replace: bool, mode: int = 0o666) -> Iterator[BinaryIO]:
    """A file that appears at `path` when the block ends without an error, synced first; else nothing of it is left.

    mode: its permissions, before the umask. Raises OSError, see `check_output`.
    """
    check_output(path, replace=replace)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(part, flags, mode), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        publish(part, path, replace=replace)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _rename_exclusively(part: Path, path: Path) -> None:
    if os.name == "nt":
        os.rename(part, path)  # refuses a name that is taken
        return
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: the moment between the two steps stays
        if os.path.lexists(path):
            raise FileExistsError from None
        os.rename(part, path)
        return
    with suppress(FileNotFoundError):
        part.unlink()


def _taken(path: Path) -> FileExistsError:
    return FileExistsError(errno.EEXIST, "exists already, and is not replaced", str(path))


def lock_file(file: IO[bytes]) -> bool:
    """Whether this process has the open file for itself now; yes on a system, or a file system, without such locks."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True

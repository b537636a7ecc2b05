"""What is read here is a regular file: opening a pipe would wait for a writer, and a device may never end."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe (FIFO)"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISLNK, "a symbolic link"),
)


def kind_of(mode: int) -> str | None:
    """What a file's mode (st_mode) says it is, for messages; None for a regular file."""
    if stat.S_ISREG(mode):
        return None
    return next((name for is_kind, name in _KINDS if is_kind(mode)), "no regular file")


def irregular(path: str | os.PathLike[str]) -> str | None:
    """What stands at `path`, links followed, where that is no regular file; None for a file, and for nothing."""
    try:
        return kind_of(os.stat(path).st_mode)
    except (OSError, ValueError):  # opening it says what is wrong
        return None


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file for reading, without waiting for anything. OSError, which names what is there, for other things."""
    flags = (
        os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
    )
    kind = irregular(path)  # a socket cannot be opened, a device might act on it
    descriptor = -1 if kind else os.open(path, flags)
    if descriptor >= 0:
        kind = kind_of(os.fstat(descriptor).st_mode)
    if kind is None:
        return os.fdopen(descriptor, "rb")
    if descriptor >= 0:
        os.close(descriptor)
    raise _error(kind, path)


def read_regular(path: str | os.PathLike[str]) -> bytes:
    """The content of a file. OSError as `open_regular`."""
    with open_regular(path) as file:
        return file.read()


def _error(kind: str, path: str | os.PathLike[str]) -> OSError:
    number = errno.EISDIR if kind == "a folder" else errno.EINVAL
    return OSError(number, f"expected a file, found {kind}", str(Path(path)))

"""Errors of the history. Each message says which file, what was expected, what was found and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from ..errors import BelleError, excerpt

_DAMAGE = ("malformed", "not a database", "file is encrypted", "disk image")


class HistoryError(BelleError, ValueError):
    """The history cannot do what was asked; the message says why."""


class HistoryMissingError(HistoryError, LookupError):
    """There is no chat, message or attachment of this id."""


class HistoryFileError(HistoryError):
    """The database cannot be used: damaged, locked, of a newer program, or none of ours."""


class HistoryImportError(HistoryError):
    """A file of chats cannot be taken in; the message says where in it, and what was expected."""


def missing(kind: str, id: object) -> HistoryMissingError:
    """The error for an id that names nothing."""
    return HistoryMissingError(f"[history] there is no {kind} {excerpt(id)}: it was removed, or never here")


@contextmanager
def named_errors(path: Path, backups: Callable[[], Sequence[Path]]) -> Iterator[None]:
    """Turn what SQLite says inside the block into a HistoryFileError with advice.

    backups: gives the copies of the database that exist, newest first.
    """
    try:
        yield
    except DBAPIError as error:
        raise HistoryFileError(_advice(path, str(error.orig), backups())) from error


def damaged(path: Path, found: str, backups: Sequence[Path]) -> HistoryFileError:
    """The error for a file with faults inside; it names the copies that exist."""
    copies = (
        f"copy one of its backups over it: {', '.join(map(str, backups))}" if backups else "it has no backups"
    )
    return HistoryFileError(
        f"[history] {path} is damaged ({found}). Stop the program, move the file and its -wal and -shm files away "
        f"and keep them. Then {copies}; without a file a new history is begun"
    )


def _advice(path: Path, found: str, backups: Sequence[Path]) -> str:
    if any(word in found for word in _DAMAGE):
        return str(damaged(path, found, backups))
    if "locked" in found or "busy" in found:
        advice = "another program holds it for long: end that one, or try again"
    elif "full" in found:
        advice = "make room on this disk; what was written before is kept"
    elif "readonly" in found or "unable to open" in found:
        advice = "allow this user to write the file and its folder, or name another folder in BELLE_DATA"
    else:
        advice = "what was written before is kept"
    return f"[history] {path}: {found}: {advice}"

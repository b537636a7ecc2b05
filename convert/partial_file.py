"""The file that a conversion works on: OUT.part beside the target, and a journal of what is safely in it.

The target name only ever holds a complete file. A run that is stopped (Ctrl-C, a full disk, a killed process, a power
failure) leaves OUT.part and OUT.journal, with which `--resume` goes on; a run that fails because its input is damaged
leaves nothing.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from belle_edge.convert.journal import Journal, check_own_file, journal_path
from belle_edge.errors import ConversionError
from belle_edge.output_files import lock_file, publish
from belle_edge.regular_files import irregular, open_regular

_NO_SPACE = "free some space, or write to another disk"
_NOT_ALLOWED = "choose a folder that you may write to"
_REMEDIES = {
    errno.ENOSPC: _NO_SPACE,
    errno.EDQUOT: _NO_SPACE,
    errno.EFBIG: "this file system, or a limit (ulimit -f), allows no file so large",
    errno.EACCES: _NOT_ALLOWED,
    errno.EPERM: _NOT_ALLOWED,
    errno.EROFS: _NOT_ALLOWED,
    errno.EEXIST: "--force overwrites it",  # another program made it in the meantime
}


def check_target(path: Path, *, force: bool, resume: bool = False) -> None:
    """ConversionError unless `path` can be the output.

    Its folder exists, it is free or `force` is given; and no interrupted conversion waits there, unless `resume` or
    `force` says what is to become of it.
    """
    kind = irregular(path)
    if kind == "a folder":
        raise ConversionError(f"[{path}] expected a file name for the output, got a folder")
    if kind is not None:
        raise ConversionError(f"[{path}] expected a regular file for the output, got {kind}")
    if not path.parent.is_dir():
        raise ConversionError(f"[{path}] the folder for the output does not exist")
    _check_free(path, replace=force)
    _check_partial(path)
    check_own_file(journal_path(path), "the journal of a conversion")
    partial, has_journal = partial_path(path), journal_path(path).is_file()
    if resume or force or not partial.is_file() or is_being_written(path):
        return
    if has_journal:
        raise ConversionError(
            f"[{partial}] an interrupted conversion: --resume goes on with it, --force starts again"
        )
    if partial.stat().st_size > 0:
        raise ConversionError(
            f"[{partial}] exists, and no journal says that a conversion left it: move it away, or use --force"
        )


def check_free_space(path: Path, n_bytes: int) -> None:
    """ConversionError if less than `n_bytes` are free at `path` (what a partial file has already counts as free)."""
    partial = partial_path(path)
    reclaimed = 0
    if partial.is_file():
        status = partial.stat()
        reclaimed = getattr(status, "st_blocks", status.st_size // 512) * 512
    free = shutil.disk_usage(path.parent).free + reclaimed
    if free < n_bytes:
        raise ConversionError(f"[{path}] needs {n_bytes:,} bytes of disk space, {free:,} are free")


def partial_path(path: Path) -> Path:
    """The name that holds the file until it is complete."""
    return path.with_name(path.name + ".part")


@contextmanager
def partial_file(
    path: Path, *, conversion: str, resume: bool = False, replace: bool = False
) -> Iterator[tuple[IO[bytes], Journal]]:
    """(file, journal) to work with; the file becomes `path` when the block ends without an error, synced first.

    conversion: identifies what is being written, see Journal. With `resume` and a journal of the same conversion the
    file keeps its content, else it is empty. replace: a file that has the name `path` gives way.
    After ConversionError both are removed, after most other errors they stay.

    Raises ConversionError when another process is writing the same target or has written it, or when `resume` finds
    another conversion's work; and OSError, naming `path`, when the system refuses to create or write the file.
    """
    with _locked_partial(path, replace=replace) as file:
        journal = Journal.open(path, file, conversion=conversion, resume=resume)
        try:
            with journal:
                yield file, journal
                _complete(file, path, replace=replace)
            journal.remove()
        except (ConversionError, OSError) as error:
            hopeless = isinstance(error, ConversionError) or error.errno == errno.EFBIG
            if hopeless:
                partial_path(path).unlink(missing_ok=True)
                journal.remove()
            if isinstance(error, ConversionError):
                raise
            state = "nothing was written" if hopeless else "--resume will go on with what was written so far"
            raise _with_remedy(error, path, state) from error
        finally:
            journal.close()


@contextmanager
def atomic_file(path: Path, *, replace: bool = False) -> Iterator[IO[bytes]]:
    """A file that appears at `path` only when the block ends without an error, for what is quickly made again.

    Nothing of it is left after an error. Raises as `partial_file` does.
    """
    with _locked_partial(path, replace=replace) as file:
        try:
            file.truncate(0)
            yield file
            _complete(file, path, replace=replace)
        except BaseException as error:
            partial_path(path).unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise _with_remedy(error, path, "nothing was written") from error
            raise


@contextmanager
def _locked_partial(path: Path, *, replace: bool) -> Iterator[IO[bytes]]:
    """The partial file, with whatever it holds, for this process alone; ConversionError where `path` is taken."""
    _check_partial(path)
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(partial_path(path), flags, 0o666)
    except OSError as error:
        raise _with_remedy(error, path, "nothing was written") from error
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        if not lock_file(file):
            raise ConversionError(f"[{path}] another conversion is writing this file")
        if not _is_same_file(file, partial_path(path)):  # its writer finished between our open and our lock
            raise ConversionError(f"[{path}] another conversion has just written this file")
        _check_partial(path)
        try:
            _check_free(path, replace=replace)  # what was seen before the lock may be history
        except ConversionError:
            if os.fstat(file.fileno()).st_size == 0:
                partial_path(path).unlink(missing_ok=True)
            raise
        yield file


def _check_free(path: Path, *, replace: bool) -> None:
    if not replace and os.path.lexists(path):
        raise ConversionError(f"[{path}] exists already; --force (force=True) overwrites it")


def _check_partial(path: Path) -> None:
    """ConversionError where the partial file's name has a link, or anything else that is not to be written to."""
    partial = partial_path(path)
    with suppress(OSError):  # a run that ended between the two steps of giving its file the target's name
        if os.path.samestat(partial.lstat(), path.lstat()):
            partial.unlink()
    check_own_file(partial, "the partial file of a conversion")


def _complete(file: IO[bytes], path: Path, *, replace: bool) -> None:
    os.fsync(file.fileno())
    publish(partial_path(path), path, replace=replace)
    _sync_folder(path.parent)


def is_being_written(path: Path) -> bool:
    """Whether another process is at work on this target now."""
    try:
        with open_regular(partial_path(path)) as file:
            return not lock_file(file)
    except OSError:
        return False


def _with_remedy(error: OSError, path: Path, state: str) -> OSError:
    """An error that a user can mend: with the target's name, the state things are in, and what to do."""
    if error.errno not in _REMEDIES:
        return error
    text = f"{error.strerror}; {state}"
    return OSError(error.errno, f"{text}: {_REMEDIES[error.errno]}", str(path))


def _is_same_file(file: IO[bytes], path: Path) -> bool:
    return path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat())


def _sync_folder(folder: Path) -> None:
    """Make a rename durable where folders can be synced."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Standard streams that are closed, full or left by their reader: an exit code, and never a traceback."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TextIO

from ..languages import t
from ..text.terminal_text import printable_line

_closed: set[int] = set()  # standard streams that the null device stands for


def reserve_descriptors() -> None:
    """Put the null device where a standard stream was closed (`<&-`, `>&-`), before any file is opened.

    Else the next file would get its number, and what a library prints would end up in that file. What goes to standard
    error is lost then; commands that need one of the others say so: `require_input`, `require_output`.
    """
    for descriptor, flags in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, flags)  # takes the lowest free number, which is this one
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
    if sys.stdin is None:
        _closed.add(0)
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)


def require_input() -> None:
    """OSError where standard input is closed."""
    if 0 in _closed:
        raise OSError("standard input is closed: nothing can be read from it")


def require_output() -> None:
    """OSError where standard output is closed: what a command says there would be lost."""
    if sys.stdout is None:
        raise OSError("standard output is closed: send it to a file, or to /dev/null")


def flush() -> str | None:
    """Write out what is buffered for standard output and error; what is wrong where the former cannot take it.

    A stream that fails is pointed at the null device, so that the interpreter does not try again when it ends.
    """
    problem = _flush(sys.stdout, 1)
    _flush(sys.stderr, 2)
    return problem


def say(text: str) -> None:
    """A line on standard error, if that can take it."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def say_error(problem: str) -> None:
    """What is wrong, in a line on standard error; from anywhere, so made fit for a terminal."""
    say(printable_line(t("belle-edge: error: {problem}", problem=problem)))


def say_note(note: str) -> None:
    """Something to know, in a line on standard error."""
    say(printable_line(f"belle-edge: {note}"))


def _flush(stream: TextIO | None, descriptor: int) -> str | None:
    try:
        if stream is not None:
            stream.flush()
    except (OSError, ValueError) as error:
        with suppress(OSError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, descriptor)
            os.close(null)
        return getattr(error, "strerror", None) or str(error)
    return None

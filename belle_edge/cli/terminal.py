"""Standard streams and the terminal: UTF-8, colours where they are wanted, log lines, text that is safe to show."""

from __future__ import annotations

import io
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from typing import TextIO

from ..languages import said
from ..text.terminal_text import printable, printable_line
from .wrapping import LineWrapper, terminal_width, wrapped

LOGGER = logging.getLogger("belle_edge")

_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "cyan": "36"}


def use_utf8(*, input_encoding: str | None = None) -> None:
    """UTF-8 on every pipe, whatever the locale says; standard input may begin with a byte order mark.

    input_encoding: of standard input, where it is another one.

    A Windows console needs nothing more: there Python reads and writes UTF-16 through the console's own
    functions, independent of the code page.
    """
    for stream, errors in ((sys.stdout, "replace"), (sys.stderr, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors=errors)
    if isinstance(sys.stdin, io.TextIOWrapper):
        without_mark = "utf-8" if sys.stdin.isatty() else "utf-8-sig"
        sys.stdin.reconfigure(encoding=input_encoding or without_mark, errors="strict")


def set_up_messages(*, quiet: bool, verbose: bool, wording: Callable[[str], str] = str) -> None:
    """Log records of the package and Python warnings go to stderr, a line each.

    quiet: errors only; verbose: information, too. wording: applied to each message.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LineFormatter(wording))
    LOGGER.handlers = [handler]
    LOGGER.propagate = False
    LOGGER.setLevel(logging.ERROR if quiet else logging.INFO if verbose else logging.WARNING)
    warnings.showwarning = _log_warning


class _LineFormatter(logging.Formatter):
    """A record is one line, and orders nothing from the terminal: messages quote names from files."""

    def __init__(self, wording: Callable[[str], str]) -> None:
        super().__init__()
        self._wording = wording

    def format(self, record: logging.LogRecord) -> str:
        message = self._wording(said(record.getMessage()))
        traceback = f" {self.formatException(record.exc_info)}" if record.exc_info else ""
        return printable_line(f"belle-edge: {message}{traceback}")


def _log_warning(message: Warning | str, *_args: object, **_kwargs: object) -> None:
    LOGGER.warning("note: %s", message)


def wants_colour(stream: TextIO) -> bool:
    """Whether `stream` is a terminal that shows colours and NO_COLOR (https://no-color.org) is unset or empty."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty():
        return False
    if sys.platform == "win32":
        os.system("")  # switches escape sequences on in the console that predates Windows Terminal
    return True


def styled(text: str, *styles: str, stream: TextIO, readline_prompt: bool = False) -> str:
    """`text` in colours or weights, or as it is where `stream` shows none.

    readline_prompt: mark the escape sequences as having no width, as readline's line editing needs.
    """
    if not wants_colour(stream):
        return text
    start = f"\x1b[{';'.join(_STYLES[style] for style in styles)}m"
    mark = "\x01{}\x02" if readline_prompt else "{}"
    return f"{mark.format(start)}{text}{mark.format(chr(27) + '[0m')}"


def print_lines(lines: Iterable[str], *, stream: TextIO | None = None) -> None:
    """Print lines for people, which may quote files, on stdout or `stream`."""
    print("\n".join(map(printable_line, lines)), file=stream)


def print_remark(text: str, *, style: str = "dim") -> None:
    """A remark of the program beside an answer, on stderr; wrapped where that is a terminal."""
    text = printable(text)
    shown = wrapped(text) if sys.stderr.isatty() else text
    print(styled(shown, style, stream=sys.stderr), file=sys.stderr)


def text_writer(stream: TextIO, *, wrap: bool = True) -> Callable[[str], None]:
    """Writes pieces of a model's text to `stream` at once; a newline has to end each text.

    Where `stream` is a terminal the text is made printable and, with `wrap`, no word is broken at the edge.
    """
    if not stream.isatty():
        return partial(_write, stream, str)
    if not wrap:
        return partial(_write, stream, printable)
    wrapper = LineWrapper(terminal_width)
    return partial(_write, stream, lambda text: wrapper.push(printable(text)))


def _write(stream: TextIO, prepare: Callable[[str], str], text: str) -> None:
    stream.write(prepare(text))
    stream.flush()

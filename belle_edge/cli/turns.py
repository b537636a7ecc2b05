"""Reading a user's turns: one line, lines joined by a trailing backslash, or a block between lines of \"\"\"."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ..folders import state_folder
from ..regular_files import irregular

_QUOTES = '"""'
_HISTORY_LENGTH = 1000


class TurnAssembler:
    """Lines in, turns out."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._in_block = False
        self.pending = False  # whether a turn has begun that is not complete

    def push(self, line: str) -> str | None:
        """Add one line, without its newline. Returns the turn that it completes, if it does."""
        if not self.pending and line.lstrip().startswith(_QUOTES):
            self._in_block = self.pending = True
            line = line.lstrip()[len(_QUOTES) :]
            if not line.strip():
                return None  # a block starts on its next line
        if self._in_block:
            if not line.rstrip().endswith(_QUOTES):
                self._keep(line)
                return None
            line = line.rstrip()[: -len(_QUOTES)]
            return self._finish([line] if line else [])
        if line.endswith("\\\\"):  # a backslash that is meant
            return self._finish([line[:-1]])
        if line.endswith("\\"):
            self._keep(line[:-1])
            return None
        return self._finish([line])

    def end(self) -> str | None:
        """What is left when no more lines come."""
        return self._finish([]) if self.pending else None

    def clear(self) -> None:
        """Forget a turn that is not complete."""
        self._lines, self._in_block, self.pending = [], False, False

    def _keep(self, line: str) -> None:
        self._lines.append(line)
        self.pending = True

    def _finish(self, last: list[str]) -> str:
        text = "\n".join([*self._lines, *last])
        self.clear()
        return text


def read_turns(read_line: Callable[[bool], str | None], interrupted: Callable[[], None]) -> Iterator[str]:
    """Turns, until the lines end. read_line(continued) returns a line without its newline, or None at the end.

    A KeyboardInterrupt in read_line drops the turn that was being typed and calls `interrupted`, which may
    raise it again.
    """
    assembler = TurnAssembler()
    while True:
        try:
            line = read_line(assembler.pending)
        except KeyboardInterrupt:
            assembler.clear()
            interrupted()
            continue
        turn = assembler.end() if line is None else assembler.push(line)
        if turn is not None:
            yield turn
        if line is None:
            return


def pipe_line(_continued: bool) -> str | None:
    """The next line of standard input where that is not a terminal."""
    line = sys.stdin.readline()
    return line.rstrip("\r\n") if line else None


def terminal_line(prompt: str, continued_prompt: str) -> Callable[[bool], str | None]:
    """Reads lines with the terminal's line editing (readline where it exists)."""

    def read(continued: bool) -> str | None:
        try:
            return input(continued_prompt if continued else prompt)
        except EOFError:
            return None

    return read


def history_file() -> Path:
    """Where the lines typed into a chat are kept: the user's folder for state."""
    return state_folder() / "chat_history"


@contextmanager
def line_editing(completions: Callable[[str], Sequence[str]], history: Path | None) -> Iterator[None]:
    """Arrow keys, Tab completion, and a history that lasts where `history` names a file.

    completions: from what stands before the cursor to the lines that this can become.

    The file is readable by its owner only. Without readline nothing happens; on Windows the console edits lines.
    """
    if sys.platform == "win32":
        yield
        return
    try:
        import readline
    except ImportError:
        yield
        return

    matches: list[str] = []

    def complete(text: str, state: int) -> str | None:
        if state == 0:
            before = readline.get_line_buffer()[: readline.get_endidx()]
            start = len(before) - len(text)
            matches[:] = [line[start:] for line in completions(before)]
        return matches[state] if state < len(matches) else None

    readline.set_completer(complete)
    readline.set_completer_delims(" \t\n")
    libedit = "libedit" in (readline.__doc__ or "")
    readline.parse_and_bind("bind ^I rl_complete" if libedit else "tab: complete")
    if not libedit:
        readline.parse_and_bind("set enable-bracketed-paste on")  # a pasted text stays together
    readline.set_history_length(_HISTORY_LENGTH)
    if history is not None and irregular(history) is not None:
        history = None  # readline would wait for a pipe
    if history is not None:
        with suppress(OSError):  # none yet, or unreadable: the chat works without
            readline.read_history_file(history)
    try:
        yield
    finally:
        if history is not None:
            with suppress(OSError):
                history.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                history.touch(mode=0o600)
                readline.write_history_file(history)

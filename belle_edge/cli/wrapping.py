"""Text that arrives in pieces, wrapped to a terminal's width without breaking words.

A terminal breaks a line at any character. Here a word moves to the next line as a whole, if it fits there. Wide
characters, as Chinese ones, take two cells; between them a line may end, but not before a mark that closes.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache

_CLOSING = frozenset("，。！？、；：）》」』】〉〕’”…—～,.!?;:)]}%％")
_OPENING = frozenset("（《「『【〈〔‘“([{")
_TAB = 8
_NARROWEST = 10  # cells; below that the terminal breaks lines itself
_ROOM_FOR_MARK = 4  # cells: a wide character this far from the edge needs not wait for what follows


class LineWrapper:
    """Pieces of text in, the same text with line breaks out. What may still have to move is held back."""

    def __init__(self, width: Callable[[], int]) -> None:
        """width: cells of a line, asked for at the start of each, since windows change their size."""
        self._width = width
        self._limit = width()
        self._column = 0
        self._overlong = False  # within a word that no line holds
        self._spaces = ""  # before the word
        self._word = ""  # cannot be broken
        self._word_cells = 0

    def push(self, text: str) -> str:
        """What can be shown now that `text` has come."""
        return "".join(map(self._push, text))

    def flush(self) -> str:
        """What was held back; the line goes on."""
        return self._place_word() + self._place_spaces()

    def _push(self, char: str) -> str:
        if self._column == 0 and not self._word and not self._spaces:
            self._limit = self._width()
        if self._overlong and char not in " \t\n" and cells(char) < 2:
            self._column = (self._column + cells(char)) % (self._limit + 1)
            return char
        self._overlong = False
        if char == "\n":
            shown = self._place_word() + "\n"
            self._start_line()
            return shown
        if char in " \t":
            shown = self._place_word()
            self._spaces += char
            return shown
        shown = self._place_word() if self._breaks_before(char) else ""
        self._word += char
        self._word_cells += cells(char)
        if (
            self._word_cells > self._limit
        ):  # fits into no line: the terminal breaks it, so that it can be copied
            self._overlong = True
            return shown + self._place_word()
        if self._may_end_here(char) and self._needed() + _ROOM_FOR_MARK <= self._limit:
            shown += self._place_word()
        return shown

    def _breaks_before(self, char: str) -> bool:
        """Whether a line may end between the word so far and `char`."""
        if not self._word or self._word[-1] in _OPENING or char in _CLOSING or cells(char) == 0:
            return False
        return cells(char) == 2 or cells(self._word[-1]) == 2

    def _may_end_here(self, char: str) -> bool:
        return cells(char) == 2 and char not in _OPENING

    def _needed(self) -> int:
        return self._column + len(self._spaces.replace("\t", " " * _TAB)) + self._word_cells

    def _place_word(self) -> str:
        """The word, on this line or the next."""
        if not self._word:
            return ""
        word, n_cells = self._word, self._word_cells
        self._word, self._word_cells = "", 0
        fits = self._limit < _NARROWEST or self._column + self._space_cells() + n_cells <= self._limit
        if fits or n_cells > self._limit:
            shown = self._place_spaces() + word
            self._column = (self._column + n_cells) % (self._limit + 1)
            return shown
        break_ = "\n" if self._column else ""  # an indentation that leaves no room is given up
        self._start_line()
        self._column = n_cells
        return break_ + word

    def _place_spaces(self) -> str:
        spaces, n_cells = self._spaces, self._space_cells()
        self._spaces = ""
        self._column += n_cells
        return spaces

    def _space_cells(self) -> int:
        column = self._column
        for space in self._spaces:
            column += _TAB - column % _TAB if space == "\t" else 1
        return column - self._column

    def _start_line(self) -> None:
        self._column, self._spaces = 0, ""


def terminal_width() -> int:
    """Cells that a line may fill: one less than the terminal has, since some begin a new line after the last."""
    return max(1, shutil.get_terminal_size().columns - 1)


def wrapped(text: str, width: Callable[[], int] = terminal_width) -> str:
    """A whole text with line breaks."""
    wrapper = LineWrapper(width)
    return wrapper.push(text) + wrapper.flush()


@cache
def _cell_sizes() -> Callable[[str], int]:
    from rich.cells import get_character_cell_size

    return get_character_cell_size


def cells(char: str) -> int:
    """How many cells of a terminal a character takes: 0 (combining marks), 1, or 2."""
    return 1 if " " <= char <= "~" else _cell_sizes()(char)

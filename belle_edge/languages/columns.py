"""Labels and texts side by side, in cells of a terminal: a Chinese character takes two."""

from __future__ import annotations

from unicodedata import combining, east_asian_width

_LABEL_CELLS = 14


def text_cells(text: str) -> int:
    """How many cells of a terminal a line takes."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def padded(text: str, n_cells: int) -> str:
    """`text` with blanks behind it, `n_cells` wide; longer ones stay as they are."""
    return text + " " * (n_cells - text_cells(text))


def right(text: str, n_cells: int) -> str:
    """`text` with blanks before it."""
    return " " * (n_cells - text_cells(text)) + text


def labelled(label: str, text: object, *, n_cells: int = _LABEL_CELLS) -> str:
    """A line of a report: what it is about, and what there is; a stranger's file can have anything there."""
    return f"{padded(f'{label} ', n_cells)}{text}"

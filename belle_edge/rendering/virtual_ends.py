"""How a text that still grows is shown: as if what is open at its end were closed, so that nothing flickers.

Only the look of the last block depends on this. A finished block is rendered from its own text.
"""

from __future__ import annotations

import re
from dataclasses import replace

from markdown_it.rules_block.table import escapedSplit
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.balance_pairs import processDelimiters
from markdown_it.rules_inline.state_inline import Delimiter

# A last line that may still become a list item, a heading, a line under a heading, a table or a fence.
_UNDECIDED = re.compile(r"[ \t>]*(?:[-=*+#>|~`_:$ \t]+|\d{1,9}[.)]?[ \t]*|\\)")
_FENCE = re.compile(r"[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)*(`{3,}|~{3,})(.*)")
_BACKTICKS = re.compile(r"`+")
_LINK = re.compile(
    r"(?<!\\)!?(?<!\\)\[([^\[\]\n]{0,200})(?:\](?:\([^()\s]{0,2000}(?:\s[^()\n]{0,200})?)?)?\Z"
)
_MARKUP_AT_END = re.compile(r"(?:(?<!\\)[*_~]{1,3}|!|<|(?<!\\)\\)\Z")
_MAX_CHARS = 20_000  # of a last paragraph that is looked at
_MAX_COLUMNS = 100


def shown_while_growing(text: str) -> str:
    """The text of the last block as it is shown while more is to come."""
    fence = open_fence(text)
    body, newline, last = text.rpartition("\n")
    if fence is not None:
        partial = last.strip(" \t>")
        return body + newline if partial and set(partial) <= {fence} else text
    if _UNDECIDED.fullmatch(last):
        text = body + newline
    begin = max(text.rfind("\n\n") + 2 if "\n\n" in text else 0, len(text) - _MAX_CHARS)
    return text[:begin] + _paragraph(text[begin:])


def open_fence(text: str) -> str | None:
    """The character of a fence that is open at the end of a text."""
    opened: tuple[str, int] | None = None
    for line in text.split("\n"):
        found = _FENCE.match(line)
        if found is None:
            continue
        marker, rest = found[1], found[2]
        if opened is None:
            if not (marker[0] == "`" and "`" in rest):
                opened = marker[0], len(marker)
        elif marker[0] == opened[0] and len(marker) >= opened[1] and not rest.strip():
            opened = None
    return opened[0] if opened else None


def _paragraph(text: str) -> str:
    if opener := _open_code(text):
        return text + opener if text[-1] != "`" else text[: -len(opener)]
    text = _LINK.sub(lambda found: found[1], text)
    text = _MARKUP_AT_END.sub("", text)
    lines = text.rstrip("\n").split("\n")
    if len(lines) == 1 and lines[0].lstrip().startswith("|"):
        return _table_head(lines[0].strip())
    return text


def _open_code(text: str) -> str:
    """The backticks that open code at the end of a paragraph; empty where none do."""
    opened = ""
    for run in _BACKTICKS.finditer(text):
        if not opened:
            opened = "" if text[run.start() - 1 : run.start()] == "\\" else run[0]
        elif run[0] == opened:
            opened = ""
    return opened


def _table_head(line: str) -> str:
    """A first row of a table, with the line under it that is still to come."""
    line = line if line.endswith("|") and line != "|" else f"{line} |"
    n_columns = len(escapedSplit(line[1:-1]))
    if not 1 <= n_columns <= _MAX_COLUMNS:
        return line
    return f"{line}\n|{'---|' * n_columns}\n"


def close_emphasis(state: StateInline) -> None:
    """Close emphasis and strikethrough that are open at the end of an inline text."""
    trial = [replace(delimiter) for delimiter in state.delimiters]
    _balance(state, trial)
    for index in range(len(trial) - 1, -1, -1):
        delimiter = trial[index]
        in_word = state.delimiters[index].open and state.delimiters[index].close
        if delimiter.end >= 0 or not delimiter.open or (in_word and delimiter.length == 1):
            continue
        if _closes(trial, index):
            continue
        state.push("text", "", 0).content = ""
        state.delimiters.append(
            Delimiter(
                marker=delimiter.marker,
                length=delimiter.length,
                token=len(state.tokens) - 1,
                end=-1,
                open=False,
                close=True,
            )
        )


def _balance(state: StateInline, delimiters: list[Delimiter]) -> None:
    processDelimiters(state, delimiters)


def _closes(delimiters: list[Delimiter], index: int) -> bool:
    """Whether a delimiter already is the end of a pair."""
    return any(other.end == index for other in delimiters)

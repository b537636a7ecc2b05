"""A long block at the end of a text that grows: code, a list or a table, of which only the newest part is made anew.

What is shown meanwhile may differ a little from the finished block, which is rendered as a whole.
"""

from __future__ import annotations

import re
from typing import Protocol

from .code_blocks import END, coloured, head_of, html_of_tokens, language_of, split_tokens, tokens_of
from .html_blocks import blocks_of, html_of
from .virtual_ends import shown_while_growing

LONG_CHARS = 1_000  # of a block; a shorter one is rendered as a whole
_REST_CHARS = 600  # of the newest part, before pieces of it are put to the done ones
_TRIES = 6
_FENCE = re.compile(r"(`{3,}|~{3,})([^\n]*)\n")
_ITEM = re.compile(r"^(?:[-*+]|\d{1,9}[.)])[ \t]", re.MULTILINE)
_LIST_HEAD = re.compile(r'<(?:ul|ol(?: start="\d+")?)>\n')
_TABLE_HEAD = re.compile(r"[^\n]*\|[^\n]*\n[ \t]*\|?[ \t:\-|]+\n")


class LongBlock(Protocol):
    """A block that grows."""

    def add(self, text: str) -> None:
        """More of its source."""

    def show(self) -> str | None:
        """Its HTML now; None where it has ended, or is another block than it seemed."""


def long_block(text: str) -> LongBlock | None:
    """The text of the last block as a long one, if it is of a kind that is made in pieces."""
    if len(text) < LONG_CHARS:
        return None
    if found := _FENCE.match(text):
        return LongCode(found[1], found[2], text[found.end() :])
    if _ITEM.match(text):
        return LongList(text)
    if found := _TABLE_HEAD.match(text):
        return LongTable(found[0], text[found.end() :])
    return None


class LongCode:
    """Code in a fence that is open. A piece is done where the lexer would begin anew in the same way."""

    def __init__(self, fence: str, info: str, code: str) -> None:
        self._end = re.compile(rf"^ {{0,3}}{re.escape(fence[0])}{{{len(fence)},}}[ \t]*\n", re.MULTILINE)
        self._fence = fence[0]
        self._language = language_of(info)
        self._done = head_of(info)
        self._rest = code
        self._patience = _REST_CHARS

    def add(self, text: str) -> None:
        self._rest += text

    def show(self) -> str | None:
        if self._end.search(self._rest):
            return None
        if len(self._rest) > self._patience:
            self._put_aside()
        body, newline, last = self._rest.rpartition("\n")
        partial = last.strip()
        shown = body + newline if partial and set(partial) == {self._fence} else self._rest
        return f"{self._done}{coloured(shown, self._language)}{END}"

    def _put_aside(self) -> None:
        """Find the last line at which colours do not depend on what is before it, and put that to the done ones."""
        tokens = tokens_of(self._rest, self._language)
        at = self._rest.rfind("\n", 0, len(self._rest) - _REST_CHARS // 4)
        for _ in range(_TRIES):
            if at < 0:
                break
            begin = at + 1
            before, behind = (
                split_tokens(tokens, begin) if tokens is not None else ([("", self._rest[:begin])], None)
            )
            if behind == tokens_of(self._rest[begin:], self._language):
                self._done += html_of_tokens(before)
                self._rest = self._rest[begin:]
                self._patience = _REST_CHARS
                return
            at = self._rest.rfind("\n", 0, at)
        self._patience = 2 * len(self._rest)


class LongList:
    """A list. Its items are done when the next one has begun."""

    def __init__(self, text: str) -> None:
        self._head = ""
        self._done = ""
        self._loose = False  # items hold paragraphs
        self._turned = False  # an empty line has just made the list loose
        self._all = text  # to begin anew where an empty line makes the whole list loose
        self._rest = text

    def add(self, text: str) -> None:
        self._all += text
        self._rest += text

    def show(self) -> str | None:
        html = self._show()
        if self._turned:  # all items again, once
            self._loose, self._turned, self._done, self._rest = True, False, "", self._all
            html = self._show()
        return html

    def _show(self) -> str | None:
        if len(self._rest) > _REST_CHARS:
            complete = self._rest[: self._rest.rfind("\n") + 1]
            last = [found.start() for found in _ITEM.finditer(complete)][-1:]
            if last and last[0]:
                done = self._items(self._rest[: last[0]])
                if done is None or self._turned:
                    return None
                self._done, self._rest = self._done + done, self._rest[last[0] :]
        items = self._items(shown_while_growing(self._rest))
        return None if items is None else f"{self._head}{self._done}{items}{self._tail()}"

    def _items(self, text: str) -> str | None:
        """The HTML of the items of a text; None where it is not one list. Notes where the list turns loose."""
        marker = _ITEM.match(text)
        if marker is None:
            return None
        dummy = f"{marker[0]}x\n\n" if self._loose else ""  # an empty line makes a list loose
        html = _one_block(dummy + text)
        head = _LIST_HEAD.match(html or "")
        if html is None or head is None:
            return None
        self._head = self._head or head[0]
        inner = html[head.end() : html.rstrip("\n").rfind("</")]
        self._turned = not self._loose and "<li>\n<p>" in inner
        return inner.removeprefix("<li>\n<p>x</p>\n</li>\n") if self._loose else inner

    def _tail(self) -> str:
        return "</ol>\n" if self._head.startswith("<ol") else "</ul>\n"


class LongTable:
    """A table. Its rows are done when they are complete."""

    def __init__(self, head: str, rows: str) -> None:
        self._head = head
        self._rest = rows
        self._done: str | None = None

    def add(self, text: str) -> None:
        self._rest += text

    def show(self) -> str | None:
        end = self._rest.rfind("\n") + 1
        if len(self._rest) > _REST_CHARS and end:
            html = self._html(self._rest[:end])
            if html is None:
                return None
            self._done, self._rest = html, self._rest[end:]
        return self._html(shown_while_growing(self._head + self._rest)[len(self._head) :])

    def _html(self, rows: str) -> str | None:
        """The table with these rows behind the done ones."""
        html = _one_block(self._head + rows)
        if html is None or not html.startswith("<table>"):
            return None
        if self._done is None:
            return html
        begin, end = html.find("<tbody>\n"), html.rfind("</tbody>")
        new = html[begin + len("<tbody>\n") : end] if begin >= 0 else ""
        at = self._done.rfind("</tbody>")
        return f"{self._done[:at]}{new}{self._done[at:]}" if at >= 0 else html


def _one_block(text: str) -> str | None:
    """The HTML of a text that grows and is one block; None where it is more, or none."""
    blocks = blocks_of(text, growing=True)
    return html_of(blocks[0], text) if len(blocks) == 1 else None

r"""Formulas in Markdown: $…$, $$…$$, \(…\), \[…\] and LaTeX environments such as align.

A formula holds no empty line, as in LaTeX. One whose end is still to come is shown as its source while a text grows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

from .formulas import MAX_CHARS

GROWING = "growing"  # in env: the text is not complete
AT_END = "at_end"  # in env: this inline text is the last one of a text that grows
_ENVIRONMENT = re.compile(
    r"\\begin\{((?:equation|align|alignat|gather|multline|flalign|eqnarray|cases|[pbBvV]?matrix|aligned|split)\*?)\}"
)
_INLINE_ENDS = (("$$", "$$"), (r"\(", r"\)"), (r"\[", r"\]"))
_MAX_DOLLAR_CHARS, _MAX_TRIES = 400, 8
_MAX_PENDING_CHARS = 200
_MAX_LINES = 200


def add_formulas(md: MarkdownIt) -> None:
    """Teach a parser formulas: tokens `formula` (block) and `formula_inline`; meta["pending"] where the end lacks."""
    md.block.ruler.before(
        "fence", "formula", _block_formula, {"alt": ["paragraph", "blockquote", "list", "reference"]}
    )
    md.inline.ruler.before("escape", "formula_inline", _inline_formula)


def _block_formula(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    if state.is_code_block(start):
        return False
    first = state.src[state.bMarks[start] + state.tShift[start] : state.eMarks[start]]
    opened = _opening(first)
    if opened is None:
        return False
    opening, closing, keep = opened
    lines = [first[len(opening) :]]
    last, pending = start, False
    while not _ends(lines[-1], closing):
        last += 1
        if last >= end:
            if not (state.env.get(GROWING) and end == state.lineMax):
                return False
            pending = True
            break
        line = state.src[state.bMarks[last] + state.tShift[last] : state.eMarks[last]]
        outside = state.isEmpty(last) or state.sCount[last] < state.blkIndent
        if outside or len(lines) == _MAX_LINES or (line.startswith(opening) and not _ends(line, closing)):
            return False
        lines.append(line)
    if not pending and closing in "\n".join(lines).rstrip()[: -len(closing)]:
        return False  # several formulas, or text behind one: for the inline rule
    if silent:
        return True
    state.line = min(last + 1, end)
    content = "\n".join(lines).rstrip()
    token = state.push("formula", "math", 0)
    token.block, token.map = True, [start, state.line]
    if not pending:
        content = content[: -len(closing)]
    token.content = f"{opening}{content}{'' if pending else closing}" if keep else content.strip()
    token.meta = {"pending": pending}
    return True


def _opening(line: str) -> tuple[str, str, bool] | None:
    """(opening, closing, whether both are a part of the formula) where a line begins with one."""
    if line.startswith("$$"):
        return "$$", "$$", False
    if line.startswith(r"\["):
        return r"\[", r"\]", False
    if found := _ENVIRONMENT.match(line):
        return found[0], rf"\end{{{found[1]}}}", True
    return None


def _ends(line: str, closing: str) -> bool:
    line = line.rstrip()
    return line.endswith(closing) and not _is_escaped(line, len(line) - len(closing), 0)


def _inline_formula(state: StateInline, silent: bool) -> bool:
    source, begin = state.src, state.pos
    if source[begin] not in "$\\":
        return False
    for opening, closing in _INLINE_ENDS:
        if source.startswith(opening, begin):
            inside = begin + len(opening)
            end = _closing(source, closing, inside, min(state.posMax, inside + MAX_CHARS))
            return _take(state, silent, inside, end, closing, opening != r"\(")
    if source[begin] != "$" or not _may_open(source, begin, state.posMax):
        return False
    return _take(state, silent, begin + 1, _dollar_end(source, begin + 1, state.posMax), "$", False)


def _closing(source: str, closing: str, inside: int, end: int) -> int:
    r"""Where the closing stands, or -1. In \\] the backslash belongs to the one before it."""
    at = inside
    for _ in range(_MAX_TRIES):
        at = source.find(closing, at, end)
        if at < 0 or not _is_escaped(source, at, inside):
            return at
        at += 1
    return -1


def _is_escaped(source: str, at: int, begin: int) -> bool:
    """Whether an odd number of backslashes stands before a place."""
    n_before = at - begin - len(source[begin:at].rstrip("\\"))
    return n_before % 2 == 1


def _may_open(source: str, at: int, end: int) -> bool:
    """A dollar before something, and not behind a word: US$5 is none."""
    before = source[at - 1] if at else " "
    return at + 1 < end and not source[at + 1].isspace() and not (before.isascii() and before.isalnum())


def _dollar_end(source: str, inside: int, end: int) -> int:
    """Where the closing dollar stands: behind something, and not before a word or price ($A/$B, $5/$6). Or -1."""
    at, end = inside, min(end, inside + _MAX_DOLLAR_CHARS)
    for _ in range(_MAX_TRIES):
        at = source.find("$", at, end)
        if at < 0:
            return -1
        escaped = source[at - 1] == "\\" or source[at - 1].isspace()
        behind = source[at + 1 : at + 2]
        if at > inside and not escaped and not (behind.isascii() and behind.isalnum()):
            return at
        at += 1
    return -1


def _take(state: StateInline, silent: bool, inside: int, end: int, closing: str, display: bool) -> bool:
    pending = end < 0
    if pending:
        rest = state.src[inside : state.posMax]
        waits = bool(state.env.get(AT_END)) and len(rest) <= _MAX_PENDING_CHARS and "\n" not in rest
        if not waits or (closing == "$" and rest[:1].isdigit()):
            return False
        end = state.posMax
    content = state.src[inside:end]
    if not content.strip():
        return False
    if not silent:
        token = state.push("formula_inline", "math", 0)
        token.content = content.strip()
        token.meta = {"pending": pending, "display": display}
    state.pos = end if pending else end + len(closing)
    return True


def is_pending(tokens: Sequence[Any]) -> bool:
    """Whether a formula that is a block waits for its end."""
    return any(token.type == "formula" and token.meta["pending"] for token in tokens)

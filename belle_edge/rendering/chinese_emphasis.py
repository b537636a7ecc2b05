"""Emphasis beside Chinese, Japanese and Korean, which have no spaces.

CommonMark reads **注意：**请 as no emphasis: a closing ** behind punctuation wants a space or punctuation after it.
Models write it all the time. Here a CJK character on the other side does as well.
"""

from __future__ import annotations

from markdown_it.common.utils import isMdAsciiPunct, isPunctChar, isWhiteSpace
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.emphasis import tokenize
from markdown_it.rules_inline.state_inline import Delimiter

# CJK symbols and punctuation, kana, ideographs, Hangul, compatibility and full-width forms; planes 2 and 3.
_RANGES = (
    (0x1100, 0x11FF),
    (0x2E80, 0xA4CF),
    (0xAC00, 0xD7FF),
    (0xF900, 0xFAFF),
    (0xFE30, 0xFE4F),
    (0xFF00, 0xFFEF),
)
_PLANES = (0x20000, 0x3FFFF)


def emphasis(state: StateInline, silent: bool) -> bool:
    """The rule for * and _: as in CommonMark, but for * beside CJK characters."""
    source, begin = state.src, state.pos
    if silent or source[begin] != "*":
        return tokenize(state, silent)
    end = begin
    while end < state.posMax and source[end] == "*":
        end += 1
    before = source[begin - 1] if begin else " "
    after = source[end] if end < state.posMax else " "
    opens, closes = _flanks(before, after), _flanks(after, before)
    for _ in range(end - begin):
        state.push("text", "", 0).content = "*"
        state.delimiters.append(
            Delimiter(
                marker=ord("*"),
                length=end - begin,
                token=len(state.tokens) - 1,
                end=-1,
                open=opens,
                close=closes,
            )
        )
    state.pos = end
    return True


def _flanks(outside: str, inside: str) -> bool:
    """Whether a run between these two characters belongs to the text at `inside`."""
    if isWhiteSpace(ord(inside)):
        return False
    return (
        not _is_punctuation(inside)
        or isWhiteSpace(ord(outside))
        or _is_punctuation(outside)
        or is_cjk(outside)
    )


def is_cjk(character: str) -> bool:
    """Whether it is written without spaces to its neighbours."""
    code = ord(character)
    return any(first <= code <= last for first, last in _RANGES) or _PLANES[0] <= code <= _PLANES[1]


def _is_punctuation(character: str) -> bool:
    return isMdAsciiPunct(ord(character)) or isPunctChar(character)

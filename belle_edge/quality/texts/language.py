"""The language of a text, as far as its script tells."""

from __future__ import annotations

_MOST_CHARS = 1 << 12  # that are looked at
_HAN = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x323AF))


def language_by_script(text: str) -> str:
    """What most letters are: "zh" for Han, "en" for A to Z, "other" for others and none."""
    letters = [char for char in text[:_MOST_CHARS] if char.isalpha()]
    if 2 * sum(map(_is_han, letters)) > len(letters):
        return "zh"
    return "en" if 2 * sum(map(str.isascii, letters)) > len(letters) else "other"


def _is_han(char: str) -> bool:
    return any(first <= ord(char) <= last for first, last in _HAN)

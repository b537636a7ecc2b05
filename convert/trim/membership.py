"""Whether the bytes of a token can occur in text written in given characters."""

from __future__ import annotations

import codecs
from collections.abc import Iterable


class AllowedText:
    """All texts of some characters, as UTF-8.

    `can_contain` is exact: it is true for a byte string if and only if some text of these characters contains it. Any
    part of such a byte string is then contained, too, which is what makes the tokens chosen by it safe to keep alone
    (see selection.py).
    """

    def __init__(self, characters: Iterable[int]) -> None:
        """characters: code points; surrogates, which no valid text has, are ignored."""
        self.characters = frozenset(point for point in characters if not 0xD800 <= point <= 0xDFFF)
        starts: set[bytes] = set()
        ends: set[bytes] = set()
        middles: set[bytes] = set()
        for encoded in (chr(point).encode() for point in self.characters if point > 0x7F):
            starts.update(encoded[:length] for length in range(1, len(encoded)))
            ends.update(encoded[start:] for start in range(1, len(encoded)))
            if len(encoded) > 2:
                middles.update((encoded[1:2], encoded[-2:-1], encoded[1:-1]))
        self._starts, self._ends, self._middles = frozenset(starts), frozenset(ends), frozenset(middles)

    def can_contain(self, data: bytes) -> bool:
        """Whether `data` is the end of a character, complete characters, the start of one: all of them allowed.

        Each of the three may be absent. Or `data` lies within one character.
        """
        n_head = 0
        while n_head < len(data) and 0x80 <= data[n_head] < 0xC0:
            n_head += 1
        head = data[:n_head]
        if head and n_head == len(data):
            return head in self._ends or head in self._middles
        decoder = codecs.getincrementaldecoder("utf-8")("strict")
        try:
            text = decoder.decode(data[n_head:])
        except UnicodeDecodeError:
            return False
        tail = decoder.getstate()[0]
        return (
            (not head or head in self._ends)
            and all(ord(char) in self.characters for char in text)
            and (not tail or tail in self._starts)
        )

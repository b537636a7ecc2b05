"""Long texts: the places where one may be cut without changing its ids, and the fewest tokens that it can have.

An encoder takes some 200 bytes of memory for each byte of its text and does not listen to Ctrl-C, so a long text goes
through it in pieces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .vocabulary import TokenType, Vocabulary

PIECE_CHARS = 1 << 15
_SPACE_MARK = "\u2581"  # SentencePiece's stand-in for a space


class LongText:
    """Cuts texts for one vocabulary. Safe to share between threads."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._is_spm = vocabulary.model == "llama"
        # Found out for the first long text. No cached_property: before Python 3.12 it holds a lock meanwhile, which a
        # forked child would wait for.
        self._longest: int | None = None
        self._all_bytes: bool | None = None
        self._pairs: frozenset[str] | None = None

    def pieces(self, text: str) -> Iterator[str]:
        """Parts of `text`, in order, whose ids one after the other are those of the whole: about PIECE_CHARS
        characters each, longer where there is no place to cut. All but the first go on a text."""
        start = 0
        while len(text) - start > PIECE_CHARS:
            end = self._cut(text, start + PIECE_CHARS)
            yield text[start:end]
            start = end
        if start < len(text) or not text:
            yield text[start:]

    def fewest_tokens(self, n_chars: int, n_bytes: int) -> int:
        """No text of this length, in characters and in bytes of UTF-8, has fewer tokens; 0 where nothing is known."""
        if self._is_spm and not self._knows_every_text():
            return 0
        length = n_chars if self._is_spm else n_bytes
        return -(-length // max(1, self._longest_entry()))

    def _cut(self, text: str, start: int) -> int:
        """The first place from `start` on where the text may be cut, or its end."""
        if self._is_spm:
            return self._cut_between_pairs(text, start)
        if self._vocabulary.splits is None:
            return len(text)
        # Byte-level BPE never joins what its pre-tokenizer separates.
        match = re.compile(self._vocabulary.splits.cut_places).search(text, start)
        return len(text) if match is None else match.end()

    def _cut_between_pairs(self, text: str, start: int) -> int:
        """SentencePiece joins whatever makes a piece. No join crosses a place whose two characters stand side by
        side in no piece."""
        if not self._knows_every_text():  # then neighbours that are unknown become one token together
            return len(text)
        pairs = self._neighbours()
        for at in range(start, len(text)):
            if text[at - 1 : at + 1].replace(_SPACE_MARK, " ") not in pairs:
                return at
        return len(text)

    def _knows_every_text(self) -> bool:
        """Whether a SentencePiece vocabulary has all the bytes, so that no character is unknown."""
        if self._all_bytes is None:
            kinds = zip(self._vocabulary.tokens, self._vocabulary.types, strict=True)
            found = {text for text, kind in kinds if kind == TokenType.BYTE}
            self._all_bytes = found >= {f"<0x{value:02X}>" for value in range(256)}
        return self._all_bytes

    def _longest_entry(self) -> int:
        """Characters (SentencePiece) or bytes (byte-level BPE, one character each) of the longest entry."""
        if self._longest is None:
            kinds = zip(self._vocabulary.tokens, self._vocabulary.types, strict=True)
            self._longest = max(
                len(text) if self._is_spm or kind == TokenType.NORMAL else _n_bytes(text)
                for text, kind in kinds
            )
        return self._longest

    def _neighbours(self) -> frozenset[str]:
        """All pairs of characters that stand side by side in a piece."""
        if self._pairs is None:
            texts = (text.replace(_SPACE_MARK, " ") for text in self._vocabulary.tokens)
            self._pairs = frozenset(text[at : at + 2] for text in texts for at in range(len(text) - 1))
        return self._pairs


def _n_bytes(text: str) -> int:
    """Bytes that an entry may stand for: those of its text as it is, at least one for each character."""
    return max(len(text), len(text.encode("utf-8", "surrogatepass")))

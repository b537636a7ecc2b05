"""Which encoding bytes of a text have: by its byte order mark, by its zeros, by how common its characters would be."""

from __future__ import annotations

import codecs

_MARKS = (  # longest first: UTF-32's begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_GUESSES = ("gb18030", "big5", "utf-16-le", "utf-16-be", "shift_jis")
_SAMPLE_BYTES = 4096
_LIKELY = 0.7  # share of a text's characters that are common ones


def marked_encoding(content: bytes) -> str | None:
    """The encoding that a byte order mark names."""
    return next((name for mark, name in _MARKS if content.startswith(mark)), None)


def guessed_encoding(content: bytes) -> str | None:
    """The encoding in which most characters are common ones; None where none is plausible."""
    sample = content[:_SAMPLE_BYTES]
    if (certain := marked_encoding(sample) or encoding_by_zeros(sample)) is not None:
        return certain
    shares = {name: _share_of_common(sample, name) for name in _GUESSES}
    best = max(shares, key=lambda name: shares[name])
    return best if shares[best] >= _LIKELY else None


def encoding_by_zeros(content: bytes) -> str | None:
    """UTF-16 of texts with Latin letters: every other byte is zero."""
    sample = content[:_SAMPLE_BYTES]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if max(even, odd) * 8 < len(sample) or min(even, odd) * 4 > max(even, odd):
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _share_of_common(sample: bytes, name: str) -> float:
    decoder = codecs.getincrementaldecoder(name)()  # a sample may end within a character
    try:
        text = decoder.decode(sample)
    except UnicodeDecodeError:
        return 0.0
    foreign = [character for character in text if ord(character) >= 0x80]
    return sum(_is_common(character, name) for character in foreign) / len(foreign) if foreign else 0.0


def _is_common(character: str, name: str) -> bool:
    """Kana in their own encodings; punctuation; the common ones among the Chinese characters."""
    if "\u3040" <= character <= "\u30ff":
        return name in ("shift_jis", "utf-16-le", "utf-16-be")
    if name == "big5":
        return _first_byte(character, "big5") in range(0xA1, 0xC7)  # the 5,401 frequent characters come first
    return _first_byte(character, "gb2312") in (*range(0xA1, 0xA4), *range(0xB0, 0xD8))


def _first_byte(character: str, name: str) -> int:
    try:
        return character.encode(name)[0]
    except UnicodeEncodeError:
        return 0

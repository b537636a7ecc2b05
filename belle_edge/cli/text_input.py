"""Prompts from files, pipes and arguments: byte order marks, encodings, and what a text in another one looks like."""

from __future__ import annotations

import codecs
import os
import sys
from pathlib import Path

from ..regular_files import read_regular
from .standard_streams import require_input

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
BOM = "\ufeff"
_OPENED = (
    "/dev/stdin",
    "/dev/fd/",
    "/proc/self/fd/",
)  # a stream that the shell has opened for us, as <(command)


def checked_encoding(name: str) -> str:
    """The codec's name. ValueError for one that Python does not know, or that is not of texts."""
    try:
        codec = codecs.lookup(name)
        "".encode(name)  # refuses base64 and its like
    except (LookupError, ValueError):
        raise ValueError(
            f"--encoding: no encoding {name!r}; known are utf-8, gb18030, gbk, big5, utf-16, …"
        ) from None
    return codec.name


def read_input(path: Path | None) -> tuple[bytes, str]:
    """The bytes of a file or, for None and "-", of standard input; and what messages call it. OSError as usual."""
    if path is not None and str(path) != "-":
        opened = path.as_posix().startswith(_OPENED)
        return path.read_bytes() if opened else read_regular(path), str(path)
    require_input()
    if sys.stdin.isatty():
        print("belle-edge: type the prompt, end it with Ctrl-D (Ctrl-Z on Windows)", file=sys.stderr)
    return sys.stdin.buffer.read(), "standard input"


def argument_text(prompt: str, encoding: str | None) -> str:
    """A prompt given as argument; one whose bytes were no UTF-8 is decoded from them."""
    if any("\udc80" <= character <= "\udcff" for character in prompt):
        return decoded(os.fsencode(prompt), encoding=encoding, where="PROMPT")
    return prompt.lstrip(BOM)


def decoded(content: bytes, *, encoding: str | None, where: str) -> str:
    """`content` as text, without byte order marks, lines ending in newlines.

    encoding None: UTF-8, or UTF-16 and UTF-32 with a mark. ValueError says what the text looks like.
    """
    codec = encoding or marked_encoding(content) or "utf-8"
    try:
        text = content.decode(codec)
    except UnicodeDecodeError as error:
        raise ValueError(decoding_problem(error, content, where=where)) from None
    if encoding is None and "\0" in text and (guess := _guess_by_zeros(content)) is not None:
        raise ValueError(f"{where} looks like {guess.upper()} without a mark: --encoding {guess} reads it")
    return text.lstrip(BOM).replace("\r\n", "\n").replace("\r", "\n")


def marked_encoding(content: bytes) -> str | None:
    """The encoding that a byte order mark names."""
    return next((name for mark, name in _MARKS if content.startswith(mark)), None)


def decoding_problem(error: UnicodeDecodeError, content: bytes, *, where: str) -> str:
    """What to say about bytes that are no text of the encoding they were read in."""
    name = {"utf-8-sig": "utf-8"}.get(error.encoding, error.encoding)
    problem = f"{where} is not {name.upper()} text (byte {error.start})"
    guess = guessed_encoding(content)
    if guess is None or guess == name:
        return f"{problem}: --encoding NAME says what it is, as gb18030 or utf-16"
    return f"{problem}; it looks like {guess.upper()}: --encoding {guess} reads it"


def guessed_encoding(content: bytes) -> str | None:
    """The encoding in which most characters are common ones; None where none is plausible."""
    sample = content[:_SAMPLE_BYTES]
    if (certain := marked_encoding(sample) or _guess_by_zeros(sample)) is not None:
        return certain
    shares = {name: _share_of_common(sample, name) for name in _GUESSES}
    best = max(shares, key=lambda name: shares[name])
    return best if shares[best] >= _LIKELY else None


def _guess_by_zeros(content: bytes) -> str | None:
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

"""Prompts from files, pipes and arguments: byte order marks, encodings, and what a text in another one looks like."""

from __future__ import annotations

import codecs
import os
import sys
from pathlib import Path

from ..languages import t
from ..regular_files import read_regular
from ..text.encodings import encoding_by_zeros, guessed_encoding, marked_encoding
from .standard_streams import require_input, say_note

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
        say_note(t("type the prompt, end it with Ctrl-D (Ctrl-Z on Windows)"))
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
    if encoding is None and "\0" in text and (guess := encoding_by_zeros(content)) is not None:
        raise ValueError(f"{where} looks like {guess.upper()} without a mark: --encoding {guess} reads it")
    return text.lstrip(BOM).replace("\r\n", "\n").replace("\r", "\n")


def decoding_problem(error: UnicodeDecodeError, content: bytes, *, where: str) -> str:
    """What to say about bytes that are no text of the encoding they were read in."""
    name = {"utf-8-sig": "utf-8"}.get(error.encoding, error.encoding)
    problem = f"{where} is not {name.upper()} text (byte {error.start})"
    guess = guessed_encoding(content)
    if guess is None or guess == name:
        return f"{problem}: --encoding NAME says what it is, as gb18030 or utf-16"
    return f"{problem}; it looks like {guess.upper()}: --encoding {guess} reads it"

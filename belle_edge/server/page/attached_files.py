"""Text files that belong to a message: how they are read, and how a model sees them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ...text.encodings import encoding_by_zeros, guessed_encoding, marked_encoding
from .page_errors import PageError

MOST_BYTES = 2 << 20
_LONGEST_NAME = 200  # characters
_FENCE = re.compile(r"`{3,}")


def text_of(content: bytes, name: str) -> str:
    """The text of a file: UTF-8, what its mark says, or what it looks like. PageError for what is no text."""
    if len(content) > MOST_BYTES:
        raise PageError(
            413, f"{name}: expected a text of at most {MOST_BYTES >> 20} MiB", code="attachment_too_large"
        )
    encodings = [marked_encoding(content) or encoding_by_zeros(content) or "utf-8", guessed_encoding(content)]
    for encoding in filter(None, encodings):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    raise PageError(
        415, f"{name}: expected a text file; pictures, PDF and office files cannot be read", code="not_text"
    )


def file_name(given: str) -> str:
    """The last part of a name, in one line."""
    last = re.split(r"[/\\]", given)[-1]
    shown = "".join(c if c.isprintable() else " " for c in last).strip()
    return shown[:_LONGEST_NAME] or "text"


def framed(text: str, files: Iterable[tuple[str, str]]) -> str:
    """What the model is asked: the files as (name, text), each in a fence that it does not contain, then the text."""
    parts = []
    for name, content in files:
        longest = max((len(found) for found in _FENCE.findall(content)), default=2)
        fence = "`" * (longest + 1)
        parts.append(f"{name}\n{fence}\n{content.rstrip()}\n{fence}")
    return "\n\n".join([*parts, text]) if text or not parts else "\n\n".join(parts)

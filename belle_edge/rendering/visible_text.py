"""Characters that a reader cannot see, or that turn text around, are made visible before anything else."""

from __future__ import annotations

import re

# C0 but tab and line feed, DEL, C1, lone surrogates, and noncharacters: none belongs in HTML.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
# Bidirectional embeddings, overrides and isolates: text that reads as another. Marks (U+200E, U+200F) stay.
_DIRECTION = re.compile("[\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """The text with LF line ends, U+FFFD for controls, and [U+202E] for a control of direction.

    Each character is replaced by itself, so a text may be cleaned in pieces that do not part CR from LF.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _DIRECTION.sub(lambda found: f"[U+{ord(found[0]):04X}]", _CONTROL.sub("\ufffd", text))


def visible_line(text: str, max_chars: int = 200) -> str:
    """A title or a name of a file as one line: plain text for an element's text, not HTML."""
    line = " ".join(visible(text).split())
    return line if len(line) <= max_chars else line[: max_chars - 1] + "…"

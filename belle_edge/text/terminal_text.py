"""The gate that text from files, from the hub and from models passes on its way to a terminal.

A terminal takes orders from what it shows: control characters move the cursor, set its title, or hide text.
"""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # C0, C1 and DEL, all but tab and newline
_DIRECTION = re.compile(
    r"[\u202a-\u202e\u2066-\u2069]"
)  # bidirectional overrides: text that reads as another
_BREAKS = re.compile(r"[\t\n\u2028\u2029]")


def printable(text: str) -> str:
    """Text of several lines, as an answer is, without control characters; tab and newline stay."""
    return _CONTROL.sub("", text)


def printable_line(text: str) -> str:
    """Text that is one line of ours: a value from a file can neither begin another line nor turn this one around."""
    return _BREAKS.sub(" ", _DIRECTION.sub("", printable(text)))

"""What the name of a published file says: the name that it has without encryption, and whether it is encrypted."""

from __future__ import annotations

import re
from collections.abc import Iterable

ENCRYPTED_NAME = re.compile(r"(?P<name>.+)\.(?P<sha256>[0-9a-f]{64})\.enc")


def plain_name(name: str) -> str:
    """The name of a file without what encryption added to it."""
    match = ENCRYPTED_NAME.fullmatch(name)
    return match["name"] if match else name


def is_encrypted(names: Iterable[str]) -> bool:
    """Whether one of the files is encrypted."""
    return any(name.endswith(".enc") for name in names)

"""Which of a repository's or a folder's GGUF files is meant, and which files belong to a split one."""

from __future__ import annotations

import re
from collections.abc import Sequence

_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")  # of a split model


def all_parts(name: str) -> str:
    """The shell pattern of a GGUF file and, where it is the first part of a split model, of the other parts."""
    return _PART.sub(lambda part: f"-?????-of-{part[2]}.gguf", name)


def choose_gguf(source: str, names: Sequence[str], *, type: str | None, wanted: str | None = None) -> str:
    """One of several GGUF files: `wanted`, the only one, or the only one of `type`. ValueError lists them.

    Of a split model that is its first part.
    """
    if wanted is not None:
        if wanted in names:
            return wanted
        raise ValueError(f"[{source}] no file {wanted!r}; there are: {', '.join(names) or 'none'}")
    names = [name for name in names if not (part := _PART.search(name)) or int(part[1]) == 1]
    if len(names) == 1:
        return names[0]
    pattern = re.compile(rf"(?<![a-z0-9]){re.escape(type or '')}(?![a-z0-9_])", re.IGNORECASE)
    matching = [name for name in names if type and pattern.search(name.rsplit("/", 1)[-1])]
    if len(matching) == 1:
        return matching[0]
    found = f"{len(matching)} of type {type}" if type else "no type was named"
    raise ValueError(f"[{source}] several GGUF files, {found}; choose one: {', '.join(matching or names)}")

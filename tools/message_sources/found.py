"""A text that was found, and whether it is worth a translation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

_WORD = re.compile(r"[A-Za-z]{3,}")
# Names of settings, commands, queries, markup: the same in every language.
_CODE = re.compile(
    r"\[[\w .]+\] [\w{}]+|pip install |CMAKE_ARGS=|\{python\} -m pip |SELECT |\$link|<p |\{file\}\] |version https:"
    r"|belle-edge: \{(note|message)\}|\{name\}_index MATCH|\{n_bytes\} GiB|Human: |(rank|alpha)_pattern |from qtpy"
)
_PLACE = re.compile(r"\{(\w*)[^{}]*\}")


@dataclass(frozen=True)
class Found:
    """One text of the sources."""

    text: str
    path: str  # relative to the repository
    line: int
    plural: str | None = None  # the text for several, where numbers decide
    marked: bool = False  # looked up as it is; other texts are recognised by what is between their places


def is_message(text: str) -> bool:
    """Whether a literal says something: a word outside of its places, and not alone, since one word is a name."""
    if " " not in text.strip() or _is_code(text):
        return False
    return _WORD.search(_PLACE.sub(" ", text)) is not None


def _is_code(text: str) -> bool:
    found = _CODE.match(text)
    return found is not None and (not text.startswith("[") or found.end() == len(text))


def places_of(text: str) -> list[str]:
    """The names of the places, in their order."""
    return _PLACE.findall(text)


def without_doubles(texts: Iterable[Found]) -> Iterator[Found]:
    """The same texts; those that differ only in the names of their places get the names of one of them."""
    texts = list(texts)
    first: dict[str, str] = {}
    for found in sorted(texts, key=lambda found: not found.marked):
        first.setdefault(_PLACE.sub("{}", found.text), found.text)
    for found in texts:
        yield found if found.marked else replace(found, text=first[_PLACE.sub("{}", found.text)])

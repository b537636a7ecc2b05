"""Values of a stranger's JSON, each with the place where it stands, for errors that say where and what."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import excerpt
from .history_errors import HistoryImportError

LATEST = 253_402_300_800.0  # the year 10000 in seconds UTC
_ID = re.compile(r"[0-9a-f]{32}")
_MAX_NUMBER = 2**53


@dataclass(frozen=True)
class Found:
    """A value and where it was found: chats.json: chats[3].title."""

    where: str
    value: Any

    def error(self, expected: str) -> HistoryImportError:
        """The error for a value that is something else."""
        return HistoryImportError(f"[import] {self.where}: expected {expected}, found {excerpt(self.value)}")

    def field(self, name: str) -> Found:
        """A field of an object; the value None where it is absent."""
        if not isinstance(self.value, dict):
            raise self.error("an object")
        return Found(f"{self.where}.{name}", self.value.get(name))

    def items(self, max_items: int) -> Iterator[Found]:
        """The values of a list, which is not too long."""
        if not isinstance(self.value, list):
            raise self.error("a list")
        self.bound(len(self.value), max_items)
        for number, value in enumerate(self.value):
            yield Found(f"{self.where}[{number}]", value)

    def entries(self, max_entries: int) -> Iterator[tuple[str, Found]]:
        """The keys and values of an object, which has not too many."""
        if not isinstance(self.value, dict):
            raise self.error("an object")
        self.bound(len(self.value), max_entries)
        for key, value in self.value.items():
            yield key, Found(f"{self.where}[{excerpt(key)}]", value)

    def bound(self, found: int, largest: int) -> None:
        """HistoryImportError for more than there may be."""
        if found > largest:
            raise HistoryImportError(
                f"[import] {self.where}: expected at most {largest:,} entries, found {found:,}"
            )

    @property
    def present(self) -> bool:
        """Whether it is there and not null."""
        return self.value is not None

    def text(self, default: str | None = None) -> str:
        """A text; `default` for null."""
        if self.value is None and default is not None:
            return default
        if not isinstance(self.value, str):
            raise self.error("a text")
        return self.value

    def text_or_none(self) -> str | None:
        """A text or null."""
        return self.text() if self.present else None

    def id(self) -> str:
        """An id of this program: 32 hexadecimal digits."""
        if not (isinstance(self.value, str) and _ID.fullmatch(self.value)):
            raise self.error("an id of 32 hexadecimal digits")
        return self.value

    def id_or_none(self) -> str | None:
        """An id or null."""
        return self.id() if self.present else None

    def time(self, default: float | None = None) -> float:
        """Seconds UTC."""
        if self.value is None and default is not None:
            return default
        if (
            isinstance(self.value, bool)
            or not isinstance(self.value, (int, float))
            or not 0 <= self.value < LATEST
        ):
            raise self.error("a time in seconds since 1970")
        return float(self.value)

    def count_or_none(self) -> int | None:
        """A number of things, or null."""
        if self.value is None:
            return None
        if isinstance(self.value, bool) or not isinstance(self.value, int) or not 0 <= self.value < 2**31:
            raise self.error("a number of tokens")
        return self.value

    def flag(self) -> bool:
        """True or false; absent is false."""
        if self.value not in (None, True, False):
            raise self.error("true or false")
        return bool(self.value)

    def plain_object(self) -> dict[str, Any]:
        """An object of JSON's kinds, for others to read; empty for null. Numbers are such as every reader takes."""
        if self.value is None:
            return {}
        if not isinstance(self.value, dict):
            raise self.error("an object")
        waiting: list[Any] = [self.value]
        while waiting:
            inner = waiting.pop()
            if isinstance(inner, (dict, list)):
                waiting += inner.values() if isinstance(inner, dict) else inner
            elif isinstance(inner, int) and abs(inner) > _MAX_NUMBER:
                raise Found(self.where, inner).error("numbers of at most 53 bits")
        return self.value

"""llama.cpp's imatrix files from before GGUF (.dat), with bounds on everything that they claim.

Little-endian: int32 number of entries; of each int32 length of the name, the name, int32 calls, int32 number of values,
that many float32: means of squares times the calls. Then, in most, int32 chunks, int32 length, the data's name.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from belle_edge.convert.sources.byte_source import MappedBytes
from belle_edge.errors import ConversionError

_INT = struct.Struct("<i")
_MOST_ENTRIES = 100_000
_MOST_NAME_BYTES = 256


@dataclass(frozen=True)
class OldEntry:
    """The values of one matrix in the file."""

    offset: int
    n_values: int
    n_calls: int


class OldImatrix:
    """The index of a file; values are read when they are asked for."""

    def __init__(self, path: Path) -> None:
        """ConversionError for what is no such file."""
        self.name = path.name
        self._bytes = MappedBytes(path)
        self._at = 0
        n_entries = self._integer("entries", low=1, high=_MOST_ENTRIES)
        self.entries: dict[str, OldEntry] = {}
        for _ in range(n_entries):
            name = self._text("name", low=1)
            if name in self.entries:
                raise ConversionError(f"[{self.name}] {name} comes twice: make the file again")
            n_calls = self._integer(f"calls of {name}", low=0, high=None)
            n_values = self._integer(f"values of {name}", low=1, high=None)
            self.entries[name] = OldEntry(self._at, n_values, n_calls)
            self._skip(4 * n_values)
        has_end = self._at < self._bytes.size_bytes
        self.n_chunks = self._integer("chunks", low=0, high=None) if has_end else 0
        has_name = self._at < self._bytes.size_bytes
        self.dataset = self._text("the data's name", low=0) if has_name else ""

    def values(self, entry: OldEntry) -> NDArray[np.float32]:
        """Mean squares, as they are."""
        stored = self._bytes.read(entry.offset, 4 * entry.n_values).view("<f4")
        return np.asarray(stored / np.float32(max(1, entry.n_calls)), dtype=np.float32)

    def _skip(self, n_bytes: int) -> int:
        """Go on behind the next bytes, which the file must have; their place."""
        at = self._at
        self._bytes.read(at, n_bytes)
        self._at = at + n_bytes
        return at

    def _integer(self, what: str, *, low: int, high: int | None) -> int:
        at = self._skip(_INT.size)
        (value,) = _INT.unpack(self._bytes.read(at, _INT.size).tobytes())
        if value < low or (high is not None and value > high):
            bounds = f"{low} or more" if high is None else f"{low} to {high}"
            raise _no_imatrix(self.name, f"{what}: expected {bounds}, found {value}")
        return int(value)

    def _text(self, what: str, *, low: int) -> str:
        n_bytes = self._integer(f"length of {what}", low=low, high=_MOST_NAME_BYTES if low else 1 << 16)
        text = self._bytes.read(self._skip(n_bytes), n_bytes).tobytes()
        try:
            return text.rstrip(b"\0").decode("utf-8")
        except UnicodeDecodeError:
            raise _no_imatrix(self.name, f"{what} is no text") from None


def _no_imatrix(name: str, found: str) -> ConversionError:
    return ConversionError(
        f"[{name}] expected a file of `belle-edge calibrate`, or an imatrix of llama.cpp; it is neither ({found})"
    )

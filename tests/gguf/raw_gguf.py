"""Writes GGUF files field by field, so that any single field can be wrong."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

UINT8, INT8, UINT16, INT16, UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY, UINT64, INT64, FLOAT64 = range(13)
F32, F16, Q4_0, Q8_0, Q4_K, BF16 = 0, 1, 2, 8, 12, 30


def string(text: str | bytes) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(data)) + data


def entry(key: str | bytes, kind: int, payload: bytes) -> bytes:
    """One metadata entry: key, type, value."""
    return string(key) + struct.pack("<I", kind) + payload


def array(key: str, kind: int, count: int, payload: bytes) -> bytes:
    return entry(key, ARRAY, struct.pack("<IQ", kind, count) + payload)


def uint32(key: str, value: int) -> bytes:
    return entry(key, UINT32, struct.pack("<I", value))


@dataclass(frozen=True)
class RawTensor:
    name: str | bytes
    dimensions: Sequence[int]  # GGUF order: the row length first
    kind: int = F32
    offset: int = 0  # from the start of the data section

    def info(self) -> bytes:
        sizes = struct.pack(f"<{len(self.dimensions)}Q", *self.dimensions)
        n_dimensions = struct.pack("<I", len(self.dimensions))
        return string(self.name) + n_dimensions + sizes + struct.pack("<IQ", self.kind, self.offset)


def build(
    entries: Sequence[bytes] = (),
    tensors: Sequence[RawTensor] = (),
    data: bytes = b"",
    *,
    magic: bytes = b"GGUF",
    version: bytes = struct.pack("<I", 3),
    n_entries: int | None = None,
    n_tensors: int | None = None,
    alignment: int = 32,
) -> bytes:
    """The bytes of a file; `n_entries` and `n_tensors` may claim what is not there."""
    counts = (
        len(tensors) if n_tensors is None else n_tensors,
        len(entries) if n_entries is None else n_entries,
    )
    header = magic + version + struct.pack("<QQ", *counts)
    header += b"".join(entries) + b"".join(tensor.info() for tensor in tensors)
    return header + bytes(-len(header) % alignment) + data

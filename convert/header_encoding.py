"""A GGUF header's parts as bytes (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, "File Structure").

The gguf package packs arrays value by value, which takes seconds for a vocabulary of 250,000 tokens.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gguf
import numpy as np

from belle_edge.convert.architectures.mapped_model import MetadataValue

_Type = gguf.GGUFValueType


@dataclass(frozen=True)
class EncodedValue:
    """A value that was read from another GGUF: its type there, and its bytes."""

    kind: int
    data: bytes


def encode_start(*, n_tensors: int, n_entries: int) -> bytes:
    """Magic, version and the two counts."""
    return struct.pack("<IIQQ", gguf.GGUF_MAGIC, gguf.GGUF_VERSION, n_tensors, n_entries)


def encode_entry(key: str, value: MetadataValue | EncodedValue) -> bytes:
    """One metadata entry. Integers become uint32, in arrays int32; floats become float32."""
    kind, data = _encode(value)
    return encode_string(key) + struct.pack("<I", kind) + data


def encode_tensor_info(name: str, shape: Sequence[int], ggml_id: int, offset: int) -> bytes:
    """One tensor's line: GGUF lists the fastest dimension first."""
    n_dims = len(shape)
    return encode_string(name) + struct.pack(f"<I{n_dims}QIQ", n_dims, *reversed(shape), ggml_id, offset)


def encode_string(text: str) -> bytes:
    data = text.encode("utf-8")
    return struct.pack("<Q", len(data)) + data


def _encode(value: MetadataValue | EncodedValue) -> tuple[int, bytes]:
    if isinstance(value, EncodedValue):
        return value.kind, value.data
    if isinstance(value, bool):
        return _Type.BOOL, struct.pack("<?", value)
    if isinstance(value, int):
        return _Type.UINT32, struct.pack("<I", value)
    if isinstance(value, float):
        return _Type.FLOAT32, struct.pack("<f", value)
    if isinstance(value, str):
        return _Type.STRING, encode_string(value)
    kind, data = _encode_items(value)
    return _Type.ARRAY, struct.pack("<IQ", kind, len(value)) + data


def _encode_items(values: Sequence[Any]) -> tuple[int, bytes]:
    """The values of an array, which are all of one type."""
    if all(isinstance(value, str) for value in values):
        return _Type.STRING, b"".join(encode_string(value) for value in values)
    if all(isinstance(value, int) for value in values):
        return _Type.INT32, np.array(values, dtype="<i4").tobytes()
    return _Type.FLOAT32, np.array(values, dtype="<f4").tobytes()

"""Reads a .safetensors file with NumPy alone: a checked header that says where each tensor lies.

The official reader needs torch for bfloat16; the format is simple enough to read directly: an 8-byte
little-endian header length, a JSON header, and the data
(https://github.com/huggingface/safetensors, "Format").
"""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import numpy as np

from belle_edge.convert.sources.byte_source import ByteSource
from belle_edge.convert.sources.tensors import ELEMENT_TYPES, SourceTensor, StoredTensor
from belle_edge.errors import ConversionError

_MAX_HEADER_BYTES = 100_000_000  # the format's own limit


def open_safetensors(source: ByteSource) -> dict[str, SourceTensor]:
    """Every tensor of a file by name; nothing but the header is read. ConversionError for a damaged file."""
    header, data_start = _read_header(source)
    header.pop("__metadata__", None)
    return {name: _tensor(source, name, entry, data_start) for name, entry in header.items()}


def _read_header(source: ByteSource) -> tuple[dict[str, Any], int]:
    """The JSON header and the offset of the data."""
    size_bytes = source.size_bytes
    if size_bytes < 8:
        raise ConversionError(f"[{source.name}] not a safetensors file: {size_bytes} bytes")
    (n_header_bytes,) = struct.unpack("<Q", source.read(0, 8).tobytes())
    if n_header_bytes > min(_MAX_HEADER_BYTES, size_bytes - 8):
        raise ConversionError(
            f"[{source.name}] damaged safetensors file: header of {n_header_bytes} bytes in {size_bytes}"
            " (download it again?)"
        )
    text = source.read(8, n_header_bytes).tobytes()
    try:
        header = json.loads(text)
    except (UnicodeDecodeError, ValueError) as error:
        raise ConversionError(f"[{source.name}] damaged safetensors header: {error}") from None
    if not isinstance(header, dict):
        raise ConversionError(f"[{source.name}] damaged safetensors header: expected a JSON object")
    return header, 8 + n_header_bytes


def _tensor(source: ByteSource, name: str, entry: Any, data_start: int) -> SourceTensor:
    try:
        dtype = str(entry["dtype"]).lower()
        shape = tuple(int(length) for length in entry["shape"])
        start, stop = (int(offset) for offset in entry["data_offsets"])
    except (KeyError, TypeError, ValueError):
        raise ConversionError(f"[{source.name}] damaged safetensors header at tensor {name}") from None
    if not 0 <= start <= stop or any(length < 0 for length in shape):
        raise ConversionError(f"[{source.name}] {name}: impossible offsets {start}..{stop} or shape {shape}")
    if data_start + stop > source.size_bytes:
        raise ConversionError(
            f"[{source.name}] {name} ends at byte {data_start + stop}, the file at {source.size_bytes}: it is cut"
            " off, download it again"
        )
    element = ELEMENT_TYPES.get(dtype)  # others, as 8-bit floats: listed, refused if the model needs them
    if element is not None and math.prod(shape) * np.dtype(element).itemsize != stop - start:
        expected_bytes = math.prod(shape) * np.dtype(element).itemsize
        raise ConversionError(
            f"[{source.name}] {name}: expected {expected_bytes} bytes for {dtype} {list(shape)}, got {stop - start}"
        )
    return StoredTensor(name=name, source=source, dtype=dtype, shape=shape, offset=data_start + start)

"""Reads a .safetensors file with NumPy alone: a checked header, then views of the memory-mapped data.

The official reader needs torch for bfloat16; the format is simple enough to read directly: an 8-byte
little-endian header length, a JSON header, and the data
(https://github.com/huggingface/safetensors, "Format").
"""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from belle_edge.convert.sources.tensors import FLOAT_TYPES, ArrayTensor, SourceTensor
from belle_edge.errors import ConversionError

_MAX_HEADER_BYTES = 100_000_000  # the format's own limit


def open_safetensors(path: Path) -> dict[str, SourceTensor]:
    """Every tensor of `path` by name; nothing but the header is read. ConversionError for a damaged file."""
    header, data_start = _read_header(path)
    size_bytes = path.stat().st_size
    data: NDArray[np.uint8] = (
        np.memmap(path, dtype=np.uint8, mode="r")
        if size_bytes > data_start
        else np.empty(data_start, np.uint8)
    )
    header.pop("__metadata__", None)
    return {name: _tensor(path, name, entry, data, data_start, size_bytes) for name, entry in header.items()}


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    """The JSON header and the offset of the data."""
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        if len(prefix) < 8:
            raise ConversionError(f"[{path.name}] not a safetensors file: {size_bytes} bytes")
        (n_header_bytes,) = struct.unpack("<Q", prefix)
        if n_header_bytes > min(_MAX_HEADER_BYTES, size_bytes - 8):
            raise ConversionError(
                f"[{path.name}] damaged safetensors file: header of {n_header_bytes} bytes in {size_bytes}"
                " (download it again?)"
            )
        text = file.read(n_header_bytes)
    try:
        header = json.loads(text)
    except (UnicodeDecodeError, ValueError) as error:
        raise ConversionError(f"[{path.name}] damaged safetensors header: {error}") from None
    if not isinstance(header, dict):
        raise ConversionError(f"[{path.name}] damaged safetensors header: expected a JSON object")
    return header, 8 + n_header_bytes


def _tensor(
    path: Path, name: str, entry: Any, data: NDArray[np.uint8], data_start: int, size_bytes: int
) -> SourceTensor:
    try:
        dtype = str(entry["dtype"]).lower()
        shape = tuple(int(length) for length in entry["shape"])
        start, stop = (int(offset) for offset in entry["data_offsets"])
    except (KeyError, TypeError, ValueError):
        raise ConversionError(f"[{path.name}] damaged safetensors header at tensor {name}") from None
    if not 0 <= start <= stop or any(length < 0 for length in shape):
        raise ConversionError(f"[{path.name}] {name}: impossible offsets {start}..{stop} or shape {shape}")
    if data_start + stop > size_bytes:
        raise ConversionError(
            f"[{path.name}] {name} ends at byte {data_start + stop}, the file at {size_bytes}: it is cut off,"
            " download it again"
        )
    raw = data[data_start + start : data_start + stop]
    element = FLOAT_TYPES.get(dtype)
    if element is None:  # integers, 8-bit floats: listed with their type, refused if the model needs them
        return ArrayTensor(name=name, file=path.name, dtype=dtype, shape=shape, array=raw)
    expected_bytes = math.prod(shape) * np.dtype(element).itemsize
    if expected_bytes != raw.size:
        raise ConversionError(
            f"[{path.name}] {name}: expected {expected_bytes} bytes for {dtype} {list(shape)}, got {raw.size}"
        )
    array = np.frombuffer(raw, dtype=np.dtype(element).newbyteorder("<")).reshape(shape)
    return ArrayTensor(name=name, file=path.name, dtype=dtype, shape=shape, array=array)

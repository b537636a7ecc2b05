"""Reads a .safetensors file with NumPy alone: a checked header that says where each tensor lies.

The official reader needs torch for bfloat16, and a file on disk; the format is simple enough to read directly: an
8-byte little-endian header length, a JSON header, and the data (https://github.com/huggingface/safetensors, "Format").
What that reader refuses is refused here (`Metadata::validate` in its tensor.rs): a header that does not describe every
byte of the data exactly once. So are keys that come twice, which the format forbids and that reader lets pass.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from belle_edge.convert.sources.byte_source import ByteSource
from belle_edge.convert.sources.source_tensors import SourceTensor, StoredTensor
from belle_edge.errors import ConversionError, bounded, excerpt
from belle_edge.strict_json import JsonError, decode, parse

_MAX_HEADER_BYTES = 100_000_000  # the format's own limit
_MAX_VALUE = (1 << 64) - 1  # of lengths, offsets and numbers of values: the reference counts in 64 bits
_BITS: Mapping[str, int] = {
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E4M3FNUZ": 8, "F8_E5M2": 8, "F8_E5M2FNUZ": 8, "F8_E8M0": 8,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32,
    "I64": 64, "U64": 64, "F64": 64, "C64": 64,
}  # fmt: skip


def open_safetensors(source: ByteSource) -> dict[str, SourceTensor]:
    """Every tensor of a file by name; nothing but the header is read. ConversionError for a damaged file."""
    header, data_start = _read_header(source)
    _check_notes(source, header.pop("__metadata__", None))
    tensors = {name: _tensor(source, name, entry, data_start) for name, entry in header.items()}
    _check_cover(source, {name: header[name]["data_offsets"] for name in tensors}, data_start)
    return tensors


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
    content = source.read(8, n_header_bytes).tobytes()
    try:
        text = decode(content)
        if text.startswith("\ufeff"):
            raise JsonError("expected an object, got a byte order mark")
        header = parse(
            text, max_bytes=_MAX_HEADER_BYTES, max_containers=_MAX_HEADER_BYTES // 16, unique_keys=True
        )
    except JsonError as error:
        raise ConversionError(f"[{source.name}] damaged safetensors header: {error}") from None
    if not isinstance(header, dict):
        raise ConversionError(f"[{source.name}] damaged safetensors header: expected a JSON object")
    return header, 8 + n_header_bytes


def _check_notes(source: ByteSource, notes: Any) -> None:
    is_text = isinstance(notes, dict) and all(isinstance(value, str) for value in notes.values())
    if notes is not None and not is_text:
        raise ConversionError(
            f"[{source.name}] damaged safetensors header: __metadata__: expected texts, got {excerpt(notes)}"
        )


def _tensor(source: ByteSource, name: str, entry: Any, data_start: int) -> SourceTensor:
    shown = bounded(name, 200)
    try:
        dtype, shape, (start, stop) = entry["dtype"], entry["shape"], entry["data_offsets"]
        n_bits = _BITS[dtype]
        if not isinstance(shape, list) or not all(map(_is_size, (*shape, start, stop))):
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise ConversionError(
            f"[{source.name}] damaged safetensors header at tensor {shown}: expected dtype, shape and data_offsets,"
            f" got {excerpt(entry)}"
        ) from None
    n_values = 1
    for length in shape:  # as the reference does: a length of 0 saves only what comes after it
        n_values *= length
        if n_values > _MAX_VALUE:
            raise ConversionError(f"[{source.name}] {shown}: impossible shape {excerpt(shape)}")
    n_bits *= n_values
    if start > stop:
        raise ConversionError(f"[{source.name}] {shown}: impossible offsets {start}..{stop}")
    if data_start + stop > source.size_bytes:
        raise ConversionError(
            f"[{source.name}] {shown} ends at byte {data_start + stop}, the file at {source.size_bytes}: it is cut"
            " off, download it again"
        )
    if n_bits != 8 * (stop - start):
        raise ConversionError(
            f"[{source.name}] {shown}: expected {n_bits / 8:g} bytes for {dtype.lower()} {excerpt(shape)}, got"
            f" {stop - start}"
        )
    return StoredTensor(
        name=name, source=source, dtype=dtype.lower(), shape=tuple(shape), offset=data_start + start
    )


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MAX_VALUE


def _check_cover(source: ByteSource, offsets: Mapping[str, list[int]], data_start: int) -> None:
    """ConversionError unless the tensors lie one after another, from the first byte of the data to its last."""
    end, previous = 0, "the header"
    for name, (start, stop) in sorted(offsets.items(), key=lambda item: item[1]):
        if start != end:
            what = "overlaps" if start < end else "leaves a hole after"
            raise ConversionError(
                f"[{source.name}] {bounded(name, 200)} starts at byte {data_start + start} and {what} {previous}, which"
                f" ends at {data_start + end}: the header is damaged, download it again"
            )
        end, previous = stop, bounded(name, 200)
    if data_start + end != source.size_bytes:
        raise ConversionError(
            f"[{source.name}] the last tensor ends at byte {data_start + end}, the file at {source.size_bytes}: what"
            " follows belongs to no tensor; the file is damaged, download it again"
        )

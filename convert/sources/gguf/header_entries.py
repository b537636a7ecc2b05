"""The metadata of a GGUF as it lies in the file: each value with its type, whatever it means.

(https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, "File Structure".) A copy must not guess which integer a
number was: llama.cpp refuses a key whose type is another one.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from types import MappingProxyType

import gguf

from belle_edge.convert.header_encoding import EncodedValue
from belle_edge.errors import ConversionError

_Type = gguf.GGUFValueType
_START = struct.Struct("<IIQQ")  # magic, version, tensors, entries
_LENGTH, _KIND, _ITEMS = struct.Struct("<Q"), struct.Struct("<I"), struct.Struct("<IQ")
_SIZES: Mapping[int, int] = MappingProxyType(
    {
        _Type.UINT8: 1,
        _Type.INT8: 1,
        _Type.BOOL: 1,
        _Type.UINT16: 2,
        _Type.INT16: 2,
        _Type.UINT32: 4,
        _Type.INT32: 4,
        _Type.FLOAT32: 4,
        _Type.UINT64: 8,
        _Type.INT64: 8,
        _Type.FLOAT64: 8,
    }
)
_MOST_NESTED = 8  # arrays in arrays; nobody writes more than one level


def header_entries(name: str, header: bytes) -> dict[str, EncodedValue]:
    """Key → value of each entry, in file order.

    name, header: of the file, and its bytes before the data. ConversionError where they are no sound header.
    """
    try:
        _, _, _, n_entries = _START.unpack_from(header)
        at, entries = _START.size, {}
        for _ in range(n_entries):
            start, at = at + _LENGTH.size, _after_string(header, at)
            key = header[start:at].decode("utf-8")
            (kind,) = _KIND.unpack_from(header, at)
            at += _KIND.size
            end = _after_value(header, at, kind, nested=0)
            entries[key] = EncodedValue(kind, header[at:end])
            at = end
    except (struct.error, UnicodeDecodeError, KeyError) as error:
        raise ConversionError(f"[{name}] its metadata cannot be read ({error}): download it again") from None
    if at > len(header):
        raise ConversionError(f"[{name}] its metadata is cut off: download it again")
    return entries


def _after_string(header: bytes, at: int) -> int:
    (length,) = _LENGTH.unpack_from(header, at)
    return at + _LENGTH.size + int(length)


def _after_value(header: bytes, at: int, kind: int, *, nested: int) -> int:
    if kind == _Type.STRING:
        return _after_string(header, at)
    if kind != _Type.ARRAY:
        return at + _SIZES[kind]
    if nested == _MOST_NESTED:
        raise KeyError("arrays in arrays")
    item_kind, n_items = _ITEMS.unpack_from(header, at)
    at += _ITEMS.size
    if item_kind in _SIZES:
        return at + int(n_items) * _SIZES[item_kind]
    for _ in range(n_items):
        at = _after_value(header, at, item_kind, nested=nested + 1)
    return at

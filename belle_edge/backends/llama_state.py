"""The bytes of a saved llama.cpp sequence: header, token ids, llama.cpp's own state, checksum."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

_MAGIC = b"BELLELC1"
_HEADER = struct.Struct("<8s32s4sIQ")  # magic, fingerprint, KV type, tokens, bytes of llama.cpp's state
_CHECKSUM_BYTES = 32
_SAMPLE_BYTES = 1 << 20


def fingerprint(path: Path, version: str) -> bytes:
    """Tells model files apart by size, beginning and end; and library versions, whose states may differ."""
    digest = hashlib.sha256(version.encode())
    with path.open("rb") as file:
        size = file.seek(0, 2)
        digest.update(size.to_bytes(8, "little"))
        for start in (0, max(0, size - _SAMPLE_BYTES)):
            file.seek(start)
            digest.update(file.read(_SAMPLE_BYTES))
    return digest.digest()


def pack(model: bytes, kv_type: str, ids: Sequence[int], state: bytes) -> bytes:
    """`model` is a `fingerprint`."""
    header = _HEADER.pack(_MAGIC, model, kv_type.encode(), len(ids), len(state))
    content = header + np.asarray(ids, dtype="<i4").tobytes() + state
    return content + hashlib.sha256(content).digest()


def unpack(model: bytes, kv_type: str, data: bytes) -> tuple[list[int], bytes]:
    """(ids, llama.cpp's state). ValueError for damaged bytes, another model, library version or KV type."""
    if len(data) < _HEADER.size + _CHECKSUM_BYTES:
        raise ValueError("the saved state is truncated")
    magic, found_model, found_kv, n_tokens, n_state = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise ValueError("not a saved sequence of the llama.cpp backend")
    if found_model != model:
        raise ValueError(
            "the saved state comes from another model file or another version of llama-cpp-python"
        )
    if found_kv.rstrip(b"\0") != kv_type.encode():
        raise ValueError(
            "the saved state has another KV type: load the model with the kv type it was saved with"
        )
    content, checksum = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
    ids_end = _HEADER.size + 4 * n_tokens
    if len(content) != ids_end + n_state or hashlib.sha256(content).digest() != checksum:
        raise ValueError("the saved state is truncated or damaged")
    ids = np.frombuffer(content, dtype="<i4", count=n_tokens, offset=_HEADER.size)
    return ids.tolist(), content[ids_end:]

"""The checksums in an output file: four metadata entries, and the hashing of the data while it is written."""

from __future__ import annotations

import struct

import gguf
import numpy as np

from belle_edge import _core

ALGORITHM = "xxh64"
CHUNK_BYTES = 1 << 20
N_ENTRIES = 4
_HASH_BYTES = 8


def empty_entries(n_data_bytes: int) -> bytes:
    """The entries in GGUF's encoding, every hash zero; they are the last of the metadata."""
    n_chunks = -(-n_data_bytes // CHUNK_BYTES)
    types = gguf.GGUFValueType
    return b"".join(
        (
            _entry("algorithm", types.STRING, _string(ALGORITHM)),
            _entry("chunk_bytes", types.UINT32, struct.pack("<I", CHUNK_BYTES)),
            _entry(
                "data",
                types.ARRAY,
                struct.pack("<IQ", types.UINT64, n_chunks) + bytes(n_chunks * _HASH_BYTES),
            ),
            _entry("header", types.UINT64, bytes(_HASH_BYTES)),
        )
    )


def filled_in(header: bytes, *, metadata_end: int, data_hashes: list[int]) -> bytes:
    """`header` with the hashes of the data, and with its own.

    metadata_end: where the entries end. The header is hashed as it is with its own hash zero.
    """
    result = bytearray(header)
    own_start = metadata_end - _HASH_BYTES
    data_end = metadata_end - len(_entry("header", gguf.GGUFValueType.UINT64, bytes(_HASH_BYTES)))
    hashes = np.array(data_hashes, dtype="<u8").tobytes()
    result[data_end - len(hashes) : data_end] = hashes
    result[own_start:metadata_end] = struct.pack("<Q", _core.xxh64(result))
    return bytes(result)


class ChunkHashes:
    """Hashes each chunk of the bytes that go by."""

    def __init__(self) -> None:
        self._hashes: list[int] = []
        self._started = bytearray()  # the chunk that is not full yet

    def update(self, data: bytes | memoryview) -> None:
        """Take the next bytes."""
        view = memoryview(data).cast("B")
        if self._started:
            missing = CHUNK_BYTES - len(self._started)
            self._started += view[:missing]
            view = view[missing:]
            if len(self._started) < CHUNK_BYTES:
                return
            self._hashes.append(_core.xxh64(self._started))
        n_full = len(view) // CHUNK_BYTES * CHUNK_BYTES
        self._hashes += [
            _core.xxh64(view[start : start + CHUNK_BYTES]) for start in range(0, n_full, CHUNK_BYTES)
        ]
        self._started = bytearray(view[n_full:])

    def finish(self) -> list[int]:
        """The hashes, a shorter last chunk included."""
        return [*self._hashes, _core.xxh64(self._started)] if self._started else self._hashes


def _entry(name: str, kind: gguf.GGUFValueType, value: bytes) -> bytes:
    return _string(f"belle.checksum.{name}") + struct.pack("<I", kind) + value


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data

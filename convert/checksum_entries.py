"""The checksums in an output file: four metadata entries, and the hashing of the data while it is written.

And the hashes of the header's parts, which tell a file that another program wrote anew from a damaged one.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence

import gguf
import numpy as np

from belle_edge import _core
from belle_edge.convert.header_encoding import encode_string

CHUNK_BYTES = _core.CHECKSUM_CHUNK_BYTES
N_ENTRIES = len(_core.CHECKSUM_KEYS)
_START_BYTES = 24  # magic, version, two counts
_TYPE_AND_OFFSET_BYTES = 4 + 8  # at the end of a tensor's line
_HASH_BYTES = 8


def empty_entries(n_data_bytes: int) -> bytes:
    """The entries in GGUF's encoding, every hash zero; they are the last of the metadata."""
    n_chunks = -(-n_data_bytes // CHUNK_BYTES)
    types = gguf.GGUFValueType
    algorithm, chunk_bytes, data, header = _core.CHECKSUM_KEYS
    return b"".join(
        (
            _entry(algorithm, types.STRING, encode_string(_core.CHECKSUM_ALGORITHM)),
            _entry(chunk_bytes, types.UINT32, struct.pack("<I", CHUNK_BYTES)),
            _entry(
                data, types.ARRAY, struct.pack("<IQ", types.UINT64, n_chunks) + bytes(n_chunks * _HASH_BYTES)
            ),
            _entry(header, types.UINT64, bytes(_HASH_BYTES)),
        )
    )


def entry_hashes(entries: Sequence[bytes], tensor_infos: Iterable[bytes]) -> bytes:
    """The entry that follows `entries`: an array of uint64 about them and the list of tensors (header_changes.h).

    The number of entries; the bytes before this one; of each the hash of key and type, the bytes of its value, the hash
    of these; of each tensor the hashes of name and shape and of its whole line; the hash of all numbers before.
    """
    numbers = [len(entries), _START_BYTES + sum(map(len, entries))]
    for entry in entries:
        (n_key_bytes,) = struct.unpack_from("<Q", entry)
        key, value = entry[: 8 + n_key_bytes + 4], entry[8 + n_key_bytes + 4 :]
        numbers += [_core.xxh64(key), len(value), _core.xxh64(value)]
    for info in tensor_infos:
        numbers += [_core.xxh64(info[:-_TYPE_AND_OFFSET_BYTES]), _core.xxh64(info)]
    data = np.array(numbers, dtype="<u8").tobytes()
    kind = gguf.GGUFValueType.UINT64
    start = encode_string(_core.ENTRY_HASHES_KEY) + struct.pack(
        "<IIQ", gguf.GGUFValueType.ARRAY, kind, len(numbers) + 1
    )
    return start + data + struct.pack("<Q", _core.xxh64(data))


def filled_in(header: bytes, *, metadata_end: int, data_hashes: list[int]) -> bytes:
    """`header` with the hashes of the data, and with its own.

    metadata_end: where the entries end. The header is hashed as it is with its own hash zero.
    """
    result = bytearray(header)
    own_start = metadata_end - _HASH_BYTES
    data_end = metadata_end - len(
        _entry(_core.CHECKSUM_KEYS[-1], gguf.GGUFValueType.UINT64, bytes(_HASH_BYTES))
    )
    hashes = np.array(data_hashes, dtype="<u8").tobytes()
    result[data_end - len(hashes) : data_end] = hashes
    result[own_start:metadata_end] = struct.pack("<Q", _core.xxh64(result))
    return bytes(result)


class ChunkHashes:
    """Hashes each chunk of the data section that goes by from its first byte to its last."""

    def __init__(self, n_data_bytes: int) -> None:
        self._n_bytes = n_data_bytes
        self._hashes: list[int | None] = [None] * -(-n_data_bytes // CHUNK_BYTES)
        self._next = 0  # offset up to which `_started` reaches
        self._started = bytearray()  # the chunk that is not full yet

    def update(self, offset: int, data: bytes | memoryview) -> None:
        """Take the bytes at `offset` of the data section."""
        view = memoryview(data).cast("B")
        if offset != self._next or not self._started:
            self._started = bytearray()
            skipped = min(len(view), -offset % CHUNK_BYTES)
            view, offset = view[skipped:], offset + skipped
        self._next = offset + len(view)
        while view:
            index = (self._next - len(view)) // CHUNK_BYTES
            size = min(CHUNK_BYTES, self._n_bytes - index * CHUNK_BYTES)
            missing = size - len(self._started)
            if len(view) < missing:
                self._started += view
                return
            if self._started:
                self._started += view[:missing]
                self._hashes[index] = _core.xxh64(self._started)
                self._started = bytearray()
            else:
                self._hashes[index] = _core.xxh64(view[:missing])
            view = view[missing:]

    def finish(self, read: Callable[[int, int], bytes]) -> list[int]:
        """All hashes. read: gives (offset, n_bytes) of the data section, for chunks that came in parts."""
        self._hashes = [
            _core.xxh64(
                read(
                    index * CHUNK_BYTES,
                    min(CHUNK_BYTES, self._n_bytes - index * CHUNK_BYTES),
                )
            )
            if known is None
            else known
            for index, known in enumerate(self._hashes)
        ]
        return [known for known in self._hashes if known is not None]


def _entry(key: str, kind: gguf.GGUFValueType, value: bytes) -> bytes:
    return encode_string(key) + struct.pack("<I", kind) + value

"""The checksums that a conversion writes, computed once more with the xxhash package."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import gguf
import pytest

from belle_edge._core import GgufFile
from belle_edge.convert import convert
from belle_edge.convert.checksum_entries import CHUNK_BYTES, ChunkHashes

from ..gguf.checksummed import metadata_end

xxhash = pytest.importorskip("xxhash")


@pytest.mark.parametrize("type", ["f32", "q4_0"])
def test_every_byte_is_covered(make_bloom: Any, make_llama: Any, tmp_path: Path, type: str) -> None:
    for make, overrides in ((make_bloom, {"hidden_size": 192}), (make_llama, {"intermediate_size": 1600})):
        path = tmp_path / "out.gguf"
        convert(make(**overrides), path, type=type, force=True)
        reader = gguf.GGUFReader(path)
        data, data_offset, end = path.read_bytes(), int(reader.data_offset), metadata_end(reader)
        header = data[: end - 8] + bytes(8) + data[end:data_offset]
        keys = {name: reader.fields[f"belle.checksum.{name}"] for name in ("algorithm", "chunk_bytes")}
        assert [field.contents() for field in keys.values()] == ["xxh64", CHUNK_BYTES]
        assert reader.fields["belle.checksum.header"].contents() == xxhash.xxh64_intdigest(header)
        assert reader.fields["belle.checksum.data"].contents() == [
            xxhash.xxh64_intdigest(data[start : start + CHUNK_BYTES])
            for start in range(data_offset, len(data), CHUNK_BYTES)
        ]
        assert list(reader.fields)[-1] == "belle.checksum.header"
        assert GgufFile(str(path)).verify_data()
    assert type != "f32" or len(data) > 2 * CHUNK_BYTES


@pytest.mark.parametrize("shuffled", [False, True], ids=["in-order", "shuffled"])
def test_pieces_of_any_size_in_any_order_give_the_same_hashes(shuffled: bool) -> None:
    choose = random.Random(5)
    data = choose.randbytes(3 * CHUNK_BYTES + 12_345)
    expected = [
        xxhash.xxh64_intdigest(data[start : start + CHUNK_BYTES])
        for start in range(0, len(data), CHUNK_BYTES)
    ]
    for largest in (50_000, CHUNK_BYTES, 4 * CHUNK_BYTES):
        hashes, pieces, start = ChunkHashes(len(data)), [], 0
        while start < len(data):
            size = choose.choice([0, 1, choose.randrange(largest + 1), largest])
            pieces.append((start, data[start : start + size]))
            start += size
        if shuffled:
            choose.shuffle(pieces)
        for start, piece in pieces:
            hashes.update(start, piece)
        n_read = 0

        def read(offset: int, n_bytes: int) -> bytes:
            nonlocal n_read
            n_read += n_bytes
            return data[offset : offset + n_bytes]

        assert hashes.finish(read) == expected
        assert shuffled or n_read == 0  # what went by in order is not read back
    assert ChunkHashes(0).finish(read) == []

"""XXH64 against the xxhash package."""

from __future__ import annotations

import numpy as np
import pytest

from belle_edge._core import xxh64

xxhash = pytest.importorskip("xxhash")

DATA = np.random.default_rng(64).integers(0, 256, 5 << 20, dtype=np.uint8).tobytes()
BIG = [1000, 4095, 4096, 4097, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, len(DATA)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"", 0xEF46DB3751D8E999), (b"a", 0xD24EC4F1A98C6E5B), (b"abc", 0x44BC2CF5AD770999)],
)
def test_published_values(data: bytes, expected: int) -> None:
    assert xxh64(data) == expected


@pytest.mark.parametrize("size", [*range(201), *BIG])
def test_every_length_and_alignment(size: int) -> None:
    for start in range(9):
        data = DATA[start : start + size]
        view = memoryview(DATA)[start : start + size]
        assert xxh64(view) == xxh64(data) == xxhash.xxh64_intdigest(data)


def test_any_contiguous_buffer() -> None:
    expected = xxhash.xxh64_intdigest(DATA)
    values = np.frombuffer(DATA, np.float32)
    for data in (bytearray(DATA), values, values.reshape(1, -1), values.reshape(1024, -1)):
        assert xxh64(data) == expected
    with pytest.raises(ValueError, match="contiguous"):
        xxh64(values[::2])
    with pytest.raises(ValueError, match="contiguous"):
        xxh64(values.reshape(1024, -1).T)
    with pytest.raises(TypeError):
        xxh64("text")  # type: ignore[arg-type]

"""Checksums: what the reader makes of sound, damaged, malformed and missing ones."""

from __future__ import annotations

import struct
from pathlib import Path

import gguf
import numpy as np
import pytest

from belle_edge._core import GgufFile, xxh64
from belle_edge.errors import ModelFormatError

from .checksummed import add_checksums, renew_checksums
from .raw_gguf import ARRAY, STRING, UINT32, UINT64, RawTensor, array, build, entry, string, uint32

CHUNK_BYTES = 1 << 20
REMEDY = "download or convert it again"


def write_file(folder: Path, sizes: dict[str, int], *, data_bytes: int | None = None) -> Path:
    """A file with checksums and float vectors of these lengths; `data_bytes` cuts the padding behind the last."""
    plain = folder / "plain.gguf"
    writer = gguf.GGUFWriter(plain, "test")
    writer.add_string("general.name", "checked")
    writer.add_array("tokenizer.ggml.tokens", ["a", "b", "文字"])
    random = np.random.default_rng(1)
    for name, n in sizes.items():
        writer.add_tensor(name, random.normal(size=n).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    if data_bytes is not None:
        data_offset = GgufFile(str(plain)).data_offset
        plain.write_bytes(plain.read_bytes()[: data_offset + data_bytes])
    return add_checksums(plain, folder / "model.gguf")


def verify(path: Path) -> bool:
    return GgufFile(str(path)).verify_data(threads=2)


def assert_refused(path: Path, *texts: str) -> None:
    with pytest.raises(ModelFormatError) as caught:
        verify(path)
    for text in (path.name, *texts):
        assert text in str(caught.value)


@pytest.mark.parametrize("n", [1, 8, (1 << 18) - 8, 1 << 18, (1 << 18) + 1, 3 << 18, (3 << 18) + 200_000])
def test_chunk_boundaries(tmp_path: Path, n: int) -> None:
    path = write_file(tmp_path, {"a": n})
    data_offset = GgufFile(str(path)).data_offset
    data = path.read_bytes()[data_offset:]
    n_chunks = -(-len(data) // CHUNK_BYTES)
    expected = {"algorithm": "xxh64", "chunk_bytes": CHUNK_BYTES, "n_chunks": n_chunks}
    assert GgufFile(str(path)).checksums == expected
    assert verify(path)
    hashes = GgufFile(str(path))["belle.checksum.data"]
    assert hashes.tolist() == [
        xxh64(data[start : start + CHUNK_BYTES]) for start in range(0, len(data), CHUNK_BYTES)
    ]
    for at in {0, len(data) - 1, *(chunk * CHUNK_BYTES for chunk in range(n_chunks))}:
        flipped = bytearray(path.read_bytes())
        flipped[data_offset + at] ^= 1
        (tmp_path / "damaged.gguf").write_bytes(flipped)
        first = data_offset + at // CHUNK_BYTES * CHUNK_BYTES
        last = min(first + CHUNK_BYTES, len(flipped))
        assert_refused(tmp_path / "damaged.gguf", f"bytes {first} to {last} (tensor 'a')", REMEDY)


def test_data_that_ends_without_padding(tmp_path: Path) -> None:
    assert verify(write_file(tmp_path, {"a": 3}, data_bytes=12))


@pytest.mark.slow
def test_every_byte_matters(tmp_path: Path) -> None:
    """Header, tensor list, padding, data: one bit of any byte flipped, and a cut at any byte."""
    path = write_file(tmp_path, {"a": 3, "b": 40})
    data = path.read_bytes()
    target = tmp_path / "damaged.gguf"
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 1 << at % 8
        target.write_bytes(damaged)
        with pytest.raises(ModelFormatError, match=r"damaged\.gguf"):
            verify(target)
        target.write_bytes(data[:at])
        with pytest.raises(ModelFormatError, match=r"damaged\.gguf"):
            verify(target)
    for more in (b"\0", b"more", bytes(CHUNK_BYTES)):
        target.write_bytes(data + more)
        assert_refused(target, REMEDY)


def test_what_the_message_names(tmp_path: Path) -> None:
    path = write_file(tmp_path, dict.fromkeys("abcde", 3))
    file = GgufFile(str(path))
    data = bytearray(path.read_bytes())
    data[file.data_offset + 12] ^= 1  # padding behind the first tensor, in the one chunk that holds all five
    path.write_bytes(data)
    assert_refused(
        path, f"bytes {file.data_offset} to {len(data)} (tensors 'a', 'b', 'c' and 2 more)", REMEDY
    )


def test_damage_in_padding_of_its_own_chunk(tmp_path: Path) -> None:
    source = write_file(tmp_path, {"a": 1 << 18})
    plain = tmp_path / "plain.gguf"
    plain.write_bytes(plain.read_bytes() + bytes(64))  # a second chunk that no tensor is in
    path = add_checksums(plain, source)
    assert verify(path)
    data = bytearray(path.read_bytes())
    data[-1] = 1
    path.write_bytes(data)
    assert_refused(path, "(padding)")


def test_the_header_is_checked_when_the_file_is_opened(tmp_path: Path) -> None:
    path = write_file(tmp_path, {"a": 3})
    path.write_bytes(path.read_bytes().replace(b"checked", b"chucked"))
    with pytest.raises(ModelFormatError, match=r"the header .* does not match its checksum") as caught:
        GgufFile(str(path))
    assert REMEDY in str(caught.value)
    renew_checksums(path)
    assert GgufFile(str(path))["general.name"] == "chucked"


def test_foreign_files_have_none(tmp_path: Path) -> None:
    write_file(tmp_path, {"a": 3})
    file = GgufFile(str(tmp_path / "plain.gguf"))
    assert file.checksums is None
    assert file.verify_data() is False


HEADER = entry("belle.checksum.header", UINT64, bytes(8))
DATA = array("belle.checksum.data", UINT64, 1, bytes(8))
SIZE = uint32("belle.checksum.chunk_bytes", CHUNK_BYTES)
ALGORITHM = entry("belle.checksum.algorithm", STRING, string("xxh64"))
MALFORMED = {
    "older": ([uint32("belle.family", 1)], "'belle.checksum.header' is missing"),
    "only_a_flipped_name": ([ALGORITHM, SIZE, DATA, HEADER.replace(b"header", b"heaDer")], "is missing"),
    "no_data": ([ALGORITHM, SIZE, HEADER], "'belle.checksum.data' is missing"),
    "no_size": ([ALGORITHM, DATA, HEADER], "'belle.checksum.chunk_bytes' is missing"),
    "no_algorithm": ([SIZE, DATA, HEADER], "'belle.checksum.algorithm' is missing"),
    "header_a_text": (
        [ALGORITHM, SIZE, DATA, entry("belle.checksum.header", STRING, string(""))],
        "wrong type",
    ),
    "header_an_array": (
        [ALGORITHM, SIZE, DATA, entry("belle.checksum.header", ARRAY, struct.pack("<IQ", UINT64, 0))],
        "wrong type",
    ),
    "data_of_32_bits": (
        [ALGORITHM, SIZE, array("belle.checksum.data", UINT32, 1, bytes(4)), HEADER],
        "wrong type",
    ),
    "data_a_number": (
        [ALGORITHM, SIZE, entry("belle.checksum.data", UINT64, bytes(8)), HEADER],
        "wrong type",
    ),
    "unknown_algorithm": (
        [entry("belle.checksum.algorithm", STRING, string("xxh65")), SIZE, DATA, HEADER],
        "'xxh65', expected xxh64",
    ),
    "header_of_zero": ([ALGORITHM, SIZE, DATA, HEADER], "the header (bytes 0 to"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_checksums(tmp_path: Path, name: str) -> None:
    entries, text = MALFORMED[name]
    path = tmp_path / "malformed.gguf"
    path.write_bytes(build(entries, [RawTensor("a", [8])], bytes(32)))
    assert_refused(path, text, REMEDY)


@pytest.mark.parametrize(("chunk_bytes", "n_chunks"), [(0, 1), (CHUNK_BYTES, 0), (CHUNK_BYTES, 2), (16, 1)])
def test_checksums_that_do_not_cover_the_data(tmp_path: Path, chunk_bytes: int, n_chunks: int) -> None:
    """Under a true checksum of the header."""
    size = uint32("belle.checksum.chunk_bytes", chunk_bytes)
    data = array("belle.checksum.data", UINT64, n_chunks, bytes(8 * n_chunks))
    file = build([ALGORITHM, size, data, HEADER], [RawTensor("a", [8])], bytes(32))
    header, at = file[:-32], file.index(HEADER) + len(HEADER) - 8
    path = tmp_path / "short.gguf"
    path.write_bytes(file[:at] + struct.pack("<Q", xxh64(header)) + file[at + 8 :])
    assert_refused(path, f"{n_chunks} checksums for chunks of {chunk_bytes} bytes", REMEDY)


def test_another_chunk_size(tmp_path: Path) -> None:
    """The file says how large its chunks are."""
    numbers = struct.pack("<8f", *range(8))
    data = array(
        "belle.checksum.data", UINT64, 2, struct.pack("<2Q", xxh64(numbers[:20]), xxh64(numbers[20:]))
    )
    size = uint32("belle.checksum.chunk_bytes", 20)
    file = build([ALGORITHM, size, data, HEADER], [RawTensor("a", [8])], numbers)
    at = file.index(HEADER) + len(HEADER) - 8
    path = tmp_path / "small-chunks.gguf"
    path.write_bytes(file[:at] + struct.pack("<Q", xxh64(file[:-32])) + file[at + 8 :])
    assert verify(path)


def test_counts_of_zero(tmp_path: Path) -> None:
    """A header that lists nothing hides the keys of our files, but not the bytes that follow."""
    data = bytearray(write_file(tmp_path, {"a": 3}).read_bytes())
    data[8:24] = bytes(16)
    path = tmp_path / "zero.gguf"
    path.write_bytes(data)
    assert_refused(path, "lists no tensors", REMEDY)


@pytest.mark.slow
def test_progress(tmp_path: Path) -> None:
    path = write_file(tmp_path, {"a": 40 << 18})
    n_bytes = path.stat().st_size - GgufFile(str(path)).data_offset
    steps: list[tuple[int, int]] = []
    assert GgufFile(str(path)).verify_data(progress=lambda done, total: steps.append((done, total)))
    assert steps[-1] == (n_bytes, n_bytes)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        GgufFile(str(path)).verify_data(progress=stop)

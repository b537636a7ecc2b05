"""Damaged files: each is refused with ModelFormatError that names the file; none crashes the process."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from belle_edge._core import GgufFile
from belle_edge.errors import ModelFormatError

from .raw_gguf import (
    ARRAY,
    F16,
    FLOAT32,
    INT32,
    Q4_0,
    Q4_K,
    STRING,
    UINT8,
    UINT32,
    RawTensor,
    array,
    build,
    entry,
    string,
    uint32,
)

HUGE = 2**63 - 1
ONE = RawTensor("a", [4])


def version(number: int, *, order: str = "<") -> bytes:
    return struct.pack(f"{order}I", number)


DAMAGED = {
    "empty": b"",
    "three_bytes": b"GGU",
    "wrong_magic": build(magic=b"GGML"),
    "a_zip_archive": b"PK\x03\x04" + bytes(200),
    "version_0": build(version=version(0)),
    "version_1": build(version=version(1)),
    "version_4": build(version=version(4)),
    "big_endian": build(version=version(3, order=">")),
    "huge_tensor_count": build(n_tensors=2**64 - 1),
    "huge_entry_count": build(n_entries=2**64 - 1),
    "entry_count_too_high": build([uint32("a", 1)], n_entries=2, alignment=1),
    "tensor_count_too_high": build([], [ONE], n_tensors=2, alignment=1),
    "huge_key": build([struct.pack("<Q", HUGE) + bytes(64)]),
    "huge_string": build([entry("a", STRING, struct.pack("<Q", HUGE) + bytes(64))]),
    "string_length_wraps": build([entry("a", STRING, struct.pack("<Q", 2**64 - 8) + bytes(64))]),
    "huge_array": build([array("a", INT32, HUGE, bytes(64))]),
    "array_bytes_wrap": build([array("a", INT32, 2**62 + 1, bytes(64))]),
    "huge_string_array": build([array("a", STRING, HUGE, string("b") * 8)]),
    "unknown_value_type": build([entry("a", 13, bytes(8))]),
    "unknown_array_type": build([array("a", 77, 1, bytes(8))]),
    "nested_array": build([array("a", ARRAY, 1, struct.pack("<IQ", UINT8, 1) + b"\x01")]),
    "duplicate_key": build([uint32("a", 1), uint32("a", 2)]),
    "duplicate_tensor": build([], [ONE, RawTensor("a", [4], offset=32)], bytes(64)),
    "no_dimensions": build([], [RawTensor("a", [])], bytes(64)),
    "five_dimensions": build([], [RawTensor("a", [1] * 5)], bytes(64)),
    "zero_dimension": build([], [RawTensor("a", [4, 0])], bytes(64)),
    "elements_overflow": build([], [RawTensor("a", [2**32, 2**32])], bytes(64)),
    "elements_wrap_to_few": build([], [RawTensor("a", [2**32 + 1, 2**32])], bytes(64)),
    "bytes_overflow": build([], [RawTensor("a", [2**62])], bytes(64)),
    "misaligned_offset": build([], [RawTensor("a", [4], offset=16)], bytes(64)),
    "offset_past_the_end": build([], [RawTensor("a", [4], offset=96)], bytes(64)),
    "offset_wraps": build([], [RawTensor("a", [4], offset=2**64 - 32)], bytes(64)),
    "tensor_past_the_end": build([], [RawTensor("a", [17])], bytes(64)),
    "tensors_overlap": build([], [RawTensor("a", [9]), RawTensor("b", [1], offset=32)], bytes(64)),
    "tensors_at_one_place": build([], [RawTensor("a", [1]), RawTensor("b", [1])], bytes(64)),
    "alignment_0": build([uint32("general.alignment", 0)]),
    "alignment_3": build([uint32("general.alignment", 3)]),
    "alignment_huge": build([uint32("general.alignment", 2**31)]),
    "alignment_negative": build([entry("general.alignment", INT32, struct.pack("<i", -32))]),
    "alignment_not_an_integer": build([entry("general.alignment", FLOAT32, struct.pack("<f", 32))]),
    "alignment_an_array": build([array("general.alignment", UINT32, 1, struct.pack("<I", 32))]),
    "quantized_row_of_33": build([], [RawTensor("a", [33, 32], kind=Q4_0)], bytes(2048)),
    "quantized_row_of_16": build([], [RawTensor("a", [16, 2], kind=Q4_0)], bytes(2048)),
    "super_block_row_of_128": build([], [RawTensor("a", [128, 4], kind=Q4_K)], bytes(1024)),
    "super_block_row_of_288": build([], [RawTensor("a", [288, 8], kind=Q4_K)], bytes(2048)),
    "super_blocks_past_the_end": build([], [RawTensor("a", [512, 2], kind=Q4_K)], bytes(4 * 144 - 1)),
    "huge_tensor_name": build([], [RawTensor("a" * 70_000, [4])], bytes(64)),
    "name_not_utf8": build([], [RawTensor(b"\xff\xfe", [4], offset=96)], bytes(64)),
    "key_not_utf8": build([entry(b"\xff", UINT8, b"\x01"), entry(b"\xff", UINT8, b"\x01")]),
}

# What the message must say besides the file's name.
SAYS = {
    "wrong_magic": "not a GGUF file",
    "version_1": "version 1",
    "big_endian": "big-endian",
    "duplicate_key": "'a' appears twice",
    "duplicate_tensor": "'a' appears twice",
    "nested_array": "'a'",
    "five_dimensions": "'a' has 5 dimensions",
    "misaligned_offset": "'a'",
    "tensor_past_the_end": "'a'",
    "tensors_overlap": "'a' and 'b' overlap",
    "alignment_3": "general.alignment is 3",
    "quantized_row_of_33": "'a' has rows of 33",
    "super_block_row_of_128": "'a' has rows of 128 weights, not a multiple of the 256 that q4_k needs",
    "super_block_row_of_288": "'a' has rows of 288 weights",
    "super_blocks_past_the_end": "'a'",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_file_is_refused_by_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.gguf"
    path.write_bytes(DAMAGED[name])
    with pytest.raises(ModelFormatError) as caught:
        GgufFile(str(path))
    assert path.name in str(caught.value)
    assert SAYS.get(name, "") in str(caught.value)


@pytest.mark.slow
def test_truncated_at_every_byte(tmp_path: Path) -> None:
    """Only the whole file is accepted, whether the cut is in a count, a name, a value or the data."""
    entries = [
        entry("general.architecture", STRING, string("llama")),
        array("numbers", INT32, 3, struct.pack("<3i", 1, 2, 3)),
        array("pieces", STRING, 3, string("") + string("你好") + string("b")),
        uint32("general.alignment", 64),
    ]
    tensors = [RawTensor("first", [3, 2], kind=F16), RawTensor("second", [32], kind=Q4_0, offset=64)]
    data = build(entries, tensors, bytes(64 + 18), alignment=64)
    path = tmp_path / "cut.gguf"
    for size in range(len(data)):
        path.write_bytes(data[:size])
        with pytest.raises(ModelFormatError, match=r"cut\.gguf"):
            GgufFile(str(path))
    path.write_bytes(data)
    assert [tensor.name for tensor in GgufFile(str(path)).tensors()] == ["first", "second"]


def test_missing_file_and_directory(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        GgufFile(str(tmp_path / "absent.gguf"))
    with pytest.raises(IsADirectoryError):
        GgufFile(str(tmp_path))
    (tmp_path / "plain").write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        GgufFile(str(tmp_path / "plain" / "inside.gguf"))


def test_error_of_a_missing_file_names_it(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"absent\.gguf"):
        GgufFile(str(tmp_path / "absent.gguf"))

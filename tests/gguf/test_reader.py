"""The GGUF reader on sound files: against the gguf package's reader and hand-packed bytes."""

from __future__ import annotations

import gc
import struct
from pathlib import Path

import gguf
import numpy as np
import pytest

from belle_edge._core import GgufFile, weight_types

from .raw_gguf import BOOL, F32, INT64, Q8_0, STRING, UINT8, RawTensor, array, build, entry, string, uint32

SCALARS = [
    (gguf.GGUFValueType.UINT8, 255),
    (gguf.GGUFValueType.INT8, -128),
    (gguf.GGUFValueType.UINT16, 65535),
    (gguf.GGUFValueType.INT16, -32768),
    (gguf.GGUFValueType.UINT32, 2**32 - 1),
    (gguf.GGUFValueType.INT32, -(2**31)),
    (gguf.GGUFValueType.UINT64, 2**64 - 1),
    (gguf.GGUFValueType.INT64, -(2**63)),
    (gguf.GGUFValueType.FLOAT32, 0.15625),
    (gguf.GGUFValueType.FLOAT64, 1e-300),
    (gguf.GGUFValueType.BOOL, True),
    (gguf.GGUFValueType.BOOL, False),
    (gguf.GGUFValueType.STRING, "你好, BELLE\n"),
    (gguf.GGUFValueType.STRING, ""),
]

ARRAYS = [
    (gguf.GGUFValueType.UINT8, "u1", [0, 255]),
    (gguf.GGUFValueType.INT8, "i1", [-128, 127]),
    (gguf.GGUFValueType.UINT16, "u2", [0, 65535]),
    (gguf.GGUFValueType.INT16, "i2", [-32768, 32767]),
    (gguf.GGUFValueType.UINT32, "u4", [0, 2**32 - 1]),
    (gguf.GGUFValueType.INT32, "i4", [-(2**31), 2**31 - 1, 7]),
    (gguf.GGUFValueType.UINT64, "u8", [0, 2**64 - 1]),
    (gguf.GGUFValueType.INT64, "i8", [-(2**63), 2**63 - 1]),
    (gguf.GGUFValueType.FLOAT32, "f4", [0.5, -1.25]),
    (gguf.GGUFValueType.FLOAT64, "f8", [1e300, -0.0]),
    (gguf.GGUFValueType.BOOL, "?", [True, False, True]),
]


def opened(tmp_path: Path, data: bytes) -> GgufFile:
    path = tmp_path / "file.gguf"
    path.write_bytes(data)
    return GgufFile(str(path))


def written(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.parametrize(("kind", "value"), SCALARS, ids=lambda value: getattr(value, "name", None))
def test_scalar_metadata(tmp_path: Path, kind: gguf.GGUFValueType, value: object) -> None:
    path = tmp_path / "scalar.gguf"
    writer = gguf.GGUFWriter(path, "test")
    writer.add_key_value("test.value", value, kind)
    written(writer)
    file = GgufFile(str(path))
    assert file["test.value"] == value
    assert type(file["test.value"]) is type(value)
    assert file.array_length("test.value") == 0


@pytest.mark.parametrize(("kind", "dtype", "values"), ARRAYS, ids=lambda value: getattr(value, "name", None))
def test_array_metadata(tmp_path: Path, kind: gguf.GGUFValueType, dtype: str, values: list[float]) -> None:
    path = tmp_path / "array.gguf"
    writer = gguf.GGUFWriter(path, "test")
    writer.add_key_value("test.values", values, gguf.GGUFValueType.ARRAY, kind)
    written(writer)
    file = GgufFile(str(path))
    result = file["test.values"]
    assert result.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(result, np.array(values, dtype))
    assert file.array_length("test.values") == len(values)


def test_string_arrays_and_empty_arrays(tmp_path: Path) -> None:
    pieces = ["", "▁the", "你", "\x00inside", "<0x0A>"]
    entries = [
        array("pieces", STRING, len(pieces), b"".join(map(string, pieces))),
        array("no.strings", STRING, 0, b""),
        array("no.numbers", INT64, 0, b""),
    ]
    file = opened(tmp_path, build(entries))
    assert file["pieces"] == pieces
    assert file.array_length("pieces") == len(pieces)
    assert file["no.strings"] == []
    assert file["no.numbers"].shape == (0,)


def test_strings_that_are_not_utf8_keep_their_bytes(tmp_path: Path) -> None:
    broken = b"\xff\xfe\xe4\xbd"
    entries = [
        entry("one", STRING, string(broken)),
        array("many", STRING, 2, string(broken) + string("ok")),
    ]
    file = opened(tmp_path, build(entries))
    assert file["one"].encode("utf-8", "surrogateescape") == broken
    assert file["many"][0].encode("utf-8", "surrogateescape") == broken
    assert file["many"][1] == "ok"


def test_keys_and_names_that_are_not_utf8_find_their_values(tmp_path: Path) -> None:
    entries = [entry(b"key\xff", STRING, string("value"))]
    file = opened(tmp_path, build(entries, [RawTensor(b"name\xff", [2])], b"12345678"))
    (key,), (tensor,) = file.keys(), file.tensors()
    assert key.encode("utf-8", "surrogateescape") == b"key\xff"
    assert file[key] == file.get(key) == "value"
    assert key in file
    assert file.array_length(key) == 0
    assert file.tensor_bytes(tensor.name).tobytes() == b"12345678"
    with pytest.raises(ValueError, match="surrogates not allowed"):
        file.get("\ud800")


def test_any_nonzero_byte_is_true(tmp_path: Path) -> None:
    file = opened(tmp_path, build([entry("yes", BOOL, b"\x02"), array("both", BOOL, 2, b"\x00\x01")]))
    assert file["yes"] is True
    assert file["both"].tolist() == [False, True]


def test_keys_come_in_file_order_and_absent_ones_are_said_to_be_absent(tmp_path: Path) -> None:
    file = opened(tmp_path, build([uint32("z", 1), uint32("a", 2), uint32("m", 3)]))
    assert file.keys() == ["z", "a", "m"]
    assert "a" in file
    assert "b" not in file
    assert file.get("b") is None
    assert file.get("b", 5) == 5
    assert file.get("a", 5) == 2
    for lookup in (lambda: file["b"], lambda: file.array_length("b"), lambda: file.tensor_bytes("b")):
        with pytest.raises(KeyError, match="b"):
            lookup()


@pytest.mark.parametrize("version", [2, 3])
def test_versions(tmp_path: Path, version: int) -> None:
    data = build([uint32("k", 1)], [RawTensor("t", [2])], bytes(8), version=struct.pack("<I", version))
    file = opened(tmp_path, data)
    assert file.version == version
    assert file.path == str(tmp_path / "file.gguf")
    assert file.size_bytes == len(data)
    assert [tensor.name for tensor in file.tensors()] == ["t"]


def test_a_file_without_anything(tmp_path: Path) -> None:
    file = opened(tmp_path, build(alignment=1))
    assert file.keys() == []
    assert file.tensors() == []
    assert file.alignment == 32


@pytest.mark.parametrize("alignment", [1, 8, 64, 4096])
def test_alignment(tmp_path: Path, alignment: int) -> None:
    second = -(-12 // alignment) * alignment
    tensors = [RawTensor("first", [3]), RawTensor("second", [2, 1], offset=second)]
    payload = b"\x01" * 12 + bytes(second - 12) + b"\x02" * 8
    data = build([uint32("general.alignment", alignment)], tensors, payload, alignment=alignment)
    file = opened(tmp_path, data)
    assert file.alignment == alignment
    start = len(data) - len(payload)
    assert [tensor.offset for tensor in file.tensors()] == [start, start + second]
    assert file.tensor_bytes("first").tobytes() == b"\x01" * 12
    assert file.tensor_bytes("second").tobytes() == b"\x02" * 8


@pytest.mark.parametrize("alignment", [32, 256])
def test_tensors_equal_those_of_the_gguf_package(tmp_path: Path, alignment: int) -> None:
    path = tmp_path / "tensors.gguf"
    random = np.random.default_rng(1)
    writer = gguf.GGUFWriter(path, "test")
    if alignment != 32:
        writer.add_custom_alignment(alignment)
    writer.add_tensor("vector", random.normal(size=7).astype(np.float32))
    writer.add_tensor("half", random.normal(size=(3, 5)).astype(np.float16))
    writer.add_tensor("four", random.normal(size=(2, 3, 4, 5)).astype(np.float32))
    writer.add_tensor("ids", np.arange(9, dtype=np.int32))
    kinds = [gguf.GGMLQuantizationType[name.upper()] for name in weight_types() if name not in ("f32", "f16")]
    for kind in kinds:
        block_size, block_bytes = gguf.GGML_QUANT_SIZES[kind]
        rows = random.integers(0, 256, (6, 512 // block_size * block_bytes), dtype=np.uint8)
        writer.add_tensor(kind.name, rows, raw_dtype=kind)
    written(writer)

    file = GgufFile(str(path))
    reference = gguf.GGUFReader(path)
    assert file.alignment == reference.alignment == alignment
    assert len(file.tensors()) == len(reference.tensors) == 4 + len(kinds)
    for ours, theirs in zip(file.tensors(), reference.tensors, strict=True):
        assert ours.name == theirs.name
        assert ours.type == theirs.tensor_type.name.lower()
        assert ours.shape == tuple(reversed(theirs.shape.tolist()))
        assert ours.offset == theirs.data_offset
        assert ours.n_bytes == theirs.n_bytes
        assert file.tensor_bytes(ours.name).tobytes() == theirs.data.tobytes()


@pytest.mark.slow
def test_tensor_bytes_are_read_only_and_outlive_the_file_object(tmp_path: Path) -> None:
    payload = bytes(range(64))
    file = opened(tmp_path, build([], [RawTensor("t", [16])], payload))
    view = file.tensor_bytes("t")
    assert view.dtype == np.uint8
    assert not view.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        view.flags.writeable = True
    del file
    gc.collect()
    (tmp_path / "file.gguf").unlink()
    assert view.tobytes() == payload


def test_unknown_tensor_types_are_listed_by_number(tmp_path: Path) -> None:
    tensors = [RawTensor("strange", [5, 2], kind=9999), RawTensor("known", [32], kind=Q8_0, offset=64)]
    file = opened(tmp_path, build([], tensors, bytes(64 + 34)))
    strange, known = file.tensors()
    assert strange.type == "type_9999"
    assert strange.shape == (2, 5)
    assert known.type == "q8_0"
    assert known.n_bytes == 34


def test_a_large_string_table_is_read_in_order(tmp_path: Path) -> None:
    pieces = [f"piece {number}" for number in range(20_000)]
    table = array("tokenizer.ggml.tokens", STRING, len(pieces), b"".join(map(string, pieces)))
    file = opened(tmp_path, build([table, entry("after", UINT8, b"\x07")]))
    assert file["tokenizer.ggml.tokens"] == pieces
    assert file["after"] == 7


def test_a_one_dimensional_tensor_has_its_full_length(tmp_path: Path) -> None:
    file = opened(tmp_path, build([], [RawTensor("t", [3], kind=F32)], struct.pack("<3f", 1, 2, 3)))
    assert file.tensors()[0].shape == (3,)
    assert file.tensor_bytes("t").view("<f4").tolist() == [1.0, 2.0, 3.0]

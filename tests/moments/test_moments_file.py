"""Reading moments: what was written, what llama.cpp's files hold, and what is wrong with others."""

from __future__ import annotations

import shutil
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from belle_edge.convert.moments.moments_file import Moments
from belle_edge.errors import ConversionError

from .moments_files import FACTS, GROUPS, SAMPLE, inputs, old_imatrix, write_entries, write_moments

Q, DOWN = "blk.0.attn_q.weight", "blk.0.ffn_down.weight"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_moments(tmp_path / "m.gguf")


def test_what_was_written_is_read(path: Path) -> None:
    moments = Moments.open(path)
    assert moments.facts == FACTS
    assert moments.has_full
    assert moments.tensor_names == tuple(name for group in GROUPS for name in group.matrices)
    for group in GROUPS:
        x = inputs(group).astype(np.float64)
        expected = x.T @ x / len(x)
        size = np.sqrt(np.outer(np.diagonal(expected), np.diagonal(expected)))
        for matrix in group.matrices:
            assert moments.group(matrix) == group.name
            np.testing.assert_allclose(moments.energies(matrix), np.diagonal(expected), rtol=1e-5)
            found = moments.moments(matrix)
            assert found is not None
            assert (np.abs(found - expected) <= size * 2e-5).all()


def test_a_matrix_that_it_does_not_know(path: Path) -> None:
    moments = Moments.open(path)
    assert moments.energies("blk.7.attn_q.weight") is None
    assert moments.moments("blk.7.attn_q.weight") is None


def test_the_sample_of_the_weights_is_kept(path: Path) -> None:
    sample = Moments.open(path).sample
    assert sample is not None
    assert sample.is_of(SAMPLE)
    assert not replace(sample, values=sample.values * np.float32(1.1)).is_of(SAMPLE)
    assert not replace(sample, shapes="2").is_of(SAMPLE)


def test_energies_alone(tmp_path: Path, path: Path) -> None:
    moments = Moments.open(write_moments(tmp_path / "small.gguf", full=False))
    assert not moments.has_full
    assert moments.moments(Q) is None
    np.testing.assert_array_equal(moments.energies(Q), Moments.open(path).energies(Q))


def test_the_gguf_package_reads_it_as_an_imatrix(path: Path) -> None:
    reader = gguf.GGUFReader(path)
    assert reader.fields["general.type"].contents() == "imatrix"
    assert reader.fields["imatrix.datasets"].contents() == ["bundled"]
    assert reader.fields["imatrix.chunk_count"].contents() == 1
    assert reader.fields["imatrix.chunk_size"].contents() == 512
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    assert tensors[f"{Q}.counts"].data.tolist() == [200.0]
    x = inputs(GROUPS[0])
    np.testing.assert_allclose(tensors[f"{Q}.in_sum2"].data, (x * x).sum(0), rtol=1e-4)
    assert tensors["blk.0.attn_q.moments"].tensor_type == gguf.GGMLQuantizationType.I16


def test_the_hash_is_of_the_content(path: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(path, tmp_path / "another name.gguf"))
    assert Moments.open(copy).content_hash == Moments.open(path).content_hash
    other = write_moments(tmp_path / "o.gguf", facts=replace(FACTS, n_tokens=201))
    assert Moments.open(other).content_hash != Moments.open(path).content_hash


def write_imatrix(path: Path, *, n_experts: int = 1, count: float = 10.0, kind: type = np.float32) -> Path:
    """As llama.cpp's tool writes it."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type("imatrix")
    writer.add_array("imatrix.datasets", ["/home/me/wiki.txt", "C:\\texts\\zh.txt"])
    writer.add_uint32("imatrix.chunk_count", 20)
    writer.add_uint32("imatrix.chunk_size", 512)
    sums = np.arange(64 * n_experts, dtype=np.float32).reshape(n_experts, 64).astype(kind)
    writer.add_tensor(f"{Q}.in_sum2", sums)
    writer.add_tensor(f"{Q}.counts", np.full((n_experts, 1), count, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_an_imatrix_of_llama_cpp(tmp_path: Path) -> None:
    moments = Moments.open(write_imatrix(tmp_path / "i.gguf"))
    np.testing.assert_allclose(moments.energies(Q), np.arange(64) / 10)
    assert moments.moments(Q) is None
    assert moments.group(Q) == Q
    assert moments.sample is None
    assert moments.facts.kind == "imatrix"
    assert moments.facts.n_tokens == 10
    assert moments.facts.datasets == ("wiki.txt", "zh.txt")  # nobody's folders


def test_an_imatrix_that_saw_nothing_of_a_matrix(tmp_path: Path) -> None:
    assert Moments.open(write_imatrix(tmp_path / "i.gguf", count=0)).energies(Q) is None


@pytest.mark.parametrize("dataset", ["/home/me/wiki.txt", "", None])
def test_an_old_imatrix(tmp_path: Path, dataset: str | None) -> None:
    path = tmp_path / "imatrix.dat"
    energies = np.linspace(0, 3, 64, dtype=np.float32)
    path.write_bytes(old_imatrix({Q: energies, DOWN: energies[:32]}, n_calls=7, dataset=dataset))
    moments = Moments.open(path)
    np.testing.assert_allclose(moments.energies(Q), energies, rtol=1e-6)
    assert moments.tensor_names == (Q, DOWN)
    assert not moments.has_full
    assert moments.moments(Q) is None
    assert moments.facts.kind == "old imatrix"
    assert moments.facts.datasets == (("wiki.txt",) if dataset else ())


def old(
    name: bytes = Q.encode(), *, n_entries: int = 1, length: int | None = None, n_values: int = 4
) -> bytes:
    length = len(name) if length is None else length
    return struct.pack("<ii", n_entries, length) + name + struct.pack("<ii4f", 1, n_values, *(1.0,) * 4)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (b"\x01\x00", "cut off"),
        (b"hello, this is a text\n" * 9, "neither"),
        (old(n_entries=2), "cut off"),
        (old(n_entries=0), "entries: expected 1 to 100000, found 0"),
        (old(n_entries=-5), "neither"),
        (old(n_values=5), "cut off"),
        (old(n_values=2**31 - 1), "cut off"),
        (old(n_values=0), "values of"),
        (old(length=2**31 - 1), "length of name"),
        (old(length=-1), "length of name"),
        (old(b"\xff\xfe"), "is no text"),
        (old() + b"\x01", "cut off"),
    ],
)
def test_what_is_no_old_imatrix(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "imatrix.dat"
    path.write_bytes(content)
    with pytest.raises(ConversionError, match=expected) as caught:
        Moments.open(path)
    assert "imatrix.dat" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_name_that_comes_twice(tmp_path: Path) -> None:
    entry = old()[4:]
    (tmp_path / "i.dat").write_bytes(struct.pack("<i", 2) + entry + entry)
    with pytest.raises(ConversionError, match="comes twice"):
        Moments.open(tmp_path / "i.dat")


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_energies_that_are_none(tmp_path: Path, value: float) -> None:
    (tmp_path / "i.dat").write_bytes(old_imatrix({Q: np.array([1, value], dtype=np.float32)}, n_calls=1))
    with pytest.raises(ConversionError, match=r"attn_q\.weight: a mean of squares is negative or not finite"):
        Moments.open(tmp_path / "i.dat").energies(Q)


def test_files_that_are_something_else(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="no such file"):
        Moments.open(tmp_path / "none")
    with pytest.raises(ConversionError, match="expected a file, found a folder"):
        Moments.open(tmp_path)
    writer = gguf.GGUFWriter(tmp_path / "model.gguf", "llama")
    writer.add_type("model")
    writer.add_tensor("token_embd.weight", np.zeros((4, 32), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(ConversionError, match="of the kind 'model' without any energies"):
        Moments.open(tmp_path / "model.gguf")


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"n_experts": 3}, "3 experts"),
        ({"count": float("nan")}, "expected a number of tokens"),
        ({"count": -1.0}, "expected a number of tokens"),
        ({"kind": np.float16}, "expected sums and counts as f32, found f16"),
    ],
)
def test_an_imatrix_with_something_wrong(tmp_path: Path, wrong: dict[str, float], expected: str) -> None:
    with pytest.raises(ConversionError, match=expected):
        Moments.open(write_imatrix(tmp_path / "i.gguf", **wrong))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("metadata", "n_values", "expected"),
    [
        ({"belle.moments.version": 2}, 10, "version 2, and this program reads 1: update"),
        ({"belle.moments.groups": ["a blk.0.attn_q blk.0.attn_k"]}, 10, "names 'blk.0.attn_k', of which"),
        ({"belle.moments.groups": "blk.0.attn_q"}, 10, "groups: expected a list of names"),
        ({"belle.moments.groups": [1, 2]}, 10, "groups: expected a list of names"),
        ({}, 9, "a.moments: expected 10 values of i16 for 4 columns, found 9 of i16"),
    ],
)
def test_claims_of_ours_that_do_not_fit(
    tmp_path: Path, metadata: dict[str, Any], n_values: int, expected: str
) -> None:
    sound = {"belle.moments.version": 1, "belle.moments.groups": ["a blk.0.attn_q"]}
    tensors = {
        f"{Q}.in_sum2": np.ones(4, dtype="<f4"),
        f"{Q}.counts": np.ones(1, dtype="<f4"),
        "a.moments": np.ones(n_values, dtype="<i2"),
    }
    path = write_entries(tmp_path / "m.gguf", {**sound, **metadata}, tensors)
    with pytest.raises(ConversionError, match=expected):
        Moments.open(path)


def test_counts_of_ours_that_are_missing(tmp_path: Path) -> None:
    path = write_entries(tmp_path / "m.gguf", {}, {f"{Q}.in_sum2": np.ones(4, dtype="<f4")})
    with pytest.raises(ConversionError, match="found f32 and none"):
        Moments.open(path)


def test_damage_is_found_before_a_value_is_given(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-40] ^= 4
    path.write_bytes(content)
    moments = Moments.open(path)
    with pytest.raises(ConversionError, match=r"checksum|damaged"):
        moments.energies(Q)


def test_no_cut_or_flipped_byte_is_more_than_an_error(path: Path, tmp_path: Path) -> None:
    """Each is refused in one line, or changes nothing that is checked."""
    content = path.read_bytes()
    damaged = tmp_path / "damaged.gguf"
    generator = np.random.default_rng(0)
    problems = []
    for at in generator.integers(0, len(content), 150):
        for variant in (content[:at], content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]):
            damaged.write_bytes(variant)
            problems += problem_of(damaged)
    assert len(problems) > 250
    assert not [problem for problem in problems if "\n" in problem]


def problem_of(path: Path) -> list[str]:
    """What is said about a file whose every moment is read; nothing where nothing is wrong."""
    try:
        moments = Moments.open(path)
        for name in moments.tensor_names:
            moments.moments(name)
    except ConversionError as error:
        return [str(error)]
    return []

"""Models in several files: the same as in one, and a clear refusal for parts that are missing or mixed up."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from belle_edge._core import GgufFile, Model
from belle_edge.errors import ModelFormatError
from belle_edge.memory import required_memory
from belle_edge.verification import verify_file

from ..gguf.checksummed import add_checksums
from ..gguf.split import split
from .gguf_models import random_bloom, random_llama


def logits(path: Path) -> Any:
    model = Model(str(path), threads=2)
    return model.forward([(model.new_sequence(), [1, 5, 7, 300])], logits="all")[0]


@pytest.mark.parametrize("kind", ["f32", "q4_0"])
@pytest.mark.parametrize("make", [random_llama, random_bloom])
def test_the_same_bits_as_in_one_file(tmp_path: Path, make: Any, kind: str) -> None:
    whole = make().write(tmp_path / "whole.gguf", kind)
    parts = split(whole, tmp_path, n_parts=4)
    assert np.array_equal(logits(parts[0]), logits(whole))
    file, one = GgufFile(str(parts[0])), GgufFile(str(whole))
    assert file.parts == [str(path) for path in parts]
    assert file.size_bytes == sum(path.stat().st_size for path in parts)
    assert [tensor.name for tensor in file.tensors()] == [tensor.name for tensor in one.tensors()]
    for tensor in one.tensors():
        assert bytes(file.tensor_bytes(tensor.name)) == bytes(one.tensor_bytes(tensor.name))
    assert required_memory(file).weights == required_memory(one).weights
    report = verify_file(parts[0])
    assert (report.n_parts, report.n_tensors, report.rewritten) == (4, len(one.tensors()), None)


def test_parts_of_a_file_of_ours_are_another_programs(tmp_path: Path) -> None:
    whole = random_llama().write(tmp_path / "whole.gguf")
    parts = split(add_checksums(whole, tmp_path / "ours.gguf"), tmp_path)
    assert np.array_equal(logits(parts[0]), logits(whole))
    report = verify_file(parts[0])
    assert report.rewritten is not None
    assert not report.verified


def refusal(path: Path) -> str:
    with pytest.raises(ModelFormatError) as caught:
        GgufFile(str(path))
    with pytest.raises(ModelFormatError):
        Model(str(path))
    return str(caught.value)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    parts = split(random_llama().write(tmp_path / "whole.gguf"), tmp_path)
    message = refusal(parts[1])
    assert "part 2 of 3" in message
    assert "give the first part, 'model-00001-of-00003.gguf'" in message
    parts[2].rename(tmp_path / "elsewhere.gguf")
    message = refusal(parts[0])
    assert "'model-00003-of-00003.gguf' is missing" in message
    assert "00002" not in message
    assert "name should end in '-00003-of-00003.gguf'" in refusal(tmp_path / "elsewhere.gguf")
    parts[0].unlink()
    assert "which is missing beside it" in refusal(parts[1])


def test_mixed_up_parts_are_named(tmp_path: Path) -> None:
    whole = random_llama().write(tmp_path / "whole.gguf")
    parts = split(whole, tmp_path)
    swapped = tmp_path / "swapped"
    swapped.mkdir()
    for path, name in zip(parts, (parts[0].name, parts[2].name, parts[1].name), strict=True):
        shutil.copy(path, swapped / name)
    message = refusal(swapped / parts[0].name)
    assert "expected part 2 of 3 by its name, but it says that it is part 3 of 3" in message
    shutil.copy(whole, parts[1])
    assert "it is no part of one" in refusal(parts[0])
    other = split(random_bloom().write(tmp_path / "bloom.gguf"), tmp_path, stem="bloom")
    shutil.copy(other[1], parts[1])
    assert "different models" in refusal(parts[0])


def test_a_tensor_that_two_parts_have(tmp_path: Path) -> None:
    parts = split(random_llama().write(tmp_path / "whole.gguf"), tmp_path, n_parts=2)
    twice = parts[0].read_bytes().replace(b"blk.0.attn_norm.weight", b"blk.1.attn_norm.weight")
    parts[0].write_bytes(twice)
    message = refusal(parts[0])
    assert "blk.1.attn_norm.weight" in message
    assert parts[1].name in message


def test_damage_in_a_later_part_is_an_error(tmp_path: Path) -> None:
    parts = split(random_llama().write(tmp_path / "whole.gguf"), tmp_path)
    parts[2].write_bytes(parts[2].read_bytes()[:-100])
    assert parts[2].name in refusal(parts[0])

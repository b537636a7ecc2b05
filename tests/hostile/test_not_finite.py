"""NaN and infinity in the weights of a GGUF: loading names the tensor, instead of generating garbage."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from belle_edge._core import GgufFile, Model
from belle_edge.errors import ModelFormatError

from ..model.gguf_models import random_llama
from .conftest import SmallModel

TYPES = ["f32", "f16", "bf16", "q4_0", "q4_1", "q8_0"]
BLOCK_BYTES = {"q4_0": 18, "q4_1": 20, "q8_0": 34}
# The bit patterns of 16-bit numbers; f32 gets the same in its upper half (which is bfloat16).
BAD_F16 = {"nan": 0x7E01, "infinity": 0x7C00, "minus_infinity": 0xFC00, "signalling_nan": 0x7C01}
BAD_BF16 = {"nan": 0x7FC1, "infinity": 0x7F80, "minus_infinity": 0xFF80, "signalling_nan": 0x7F81}
MATRICES = ["token_embd.weight", "blk.1.ffn_down.weight", "output.weight"]


def patched(source: Path, target: Path, tensor: str, at: int, bits: int) -> Path:
    """A copy of `source` with two bytes of a tensor replaced, `at` bytes from its start or, if negative, its end."""
    (info,) = [each for each in GgufFile(str(source)).tensors() if each.name == tensor]
    shutil.copyfile(source, target)
    with target.open("r+b") as file:
        file.seek(info.offset + (at if at >= 0 else info.n_bytes + at))
        file.write(bits.to_bytes(2, "little"))
    return target


def assert_refused(path: Path, tensor: str) -> None:
    with pytest.raises(ModelFormatError, match="NaN or infinite") as caught:
        Model(str(path), threads=2)
    assert path.name in str(caught.value)
    assert f"'{tensor}'" in str(caught.value)


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize("kind", BAD_F16)
def test_matrices(small_model: SmallModel, tmp_path: Path, type: str, kind: str) -> None:
    """The first and the last value, or the scale of the first and the last block."""
    source = small_model("llama", type)
    bits = (BAD_BF16 if type in ("f32", "bf16") else BAD_F16)[kind]
    first, last = {"f32": (2, -2), "f16": (0, -2), "bf16": (0, -2)}.get(type, (0, -BLOCK_BYTES.get(type, 0)))
    for tensor in MATRICES:
        for at in (first, last):
            assert_refused(patched(source, tmp_path / "bad.gguf", tensor, at, bits), tensor)


def test_the_minimum_of_q4_1(small_model: SmallModel, tmp_path: Path) -> None:
    path = patched(
        small_model("bloom", "q4_1"), tmp_path / "bad.gguf", "token_embd.weight", 2, BAD_F16["nan"]
    )
    assert_refused(path, "token_embd.weight")


@pytest.mark.parametrize("tensor", ["output_norm.weight", "blk.0.attn_qkv.bias", "token_embd_norm.bias"])
def test_vectors(small_model: SmallModel, tmp_path: Path, tensor: str) -> None:
    for at in (2, -2):
        assert_refused(
            patched(small_model("bloom", "q4_0"), tmp_path / "bad.gguf", tensor, at, BAD_BF16["nan"]), tensor
        )


@pytest.mark.parametrize("type", TYPES)
def test_the_largest_finite_values_load(tmp_path: Path, type: str) -> None:
    """Exponents just below the forbidden one, and codes that look like it, are no reason to refuse a file."""
    model = random_llama()
    largest = float(np.finfo(np.float16).max) * (1 if type in ("f16", "q4_0", "q8_0") else 0.5)
    model.tensors["output.weight"][:, ::3] = largest
    model.tensors["output.weight"][:, 1::3] = -largest
    path = model.write(tmp_path / "large.gguf", type)
    assert Model(str(path)).config["vocab_size"] == 301


def test_quantized_codes_of_all_ones_load(small_model: SmallModel, tmp_path: Path) -> None:
    source = small_model("llama", "q8_0")
    path = patched(source, tmp_path / "codes.gguf", "output.weight", 2, 0x7C7F)
    assert Model(str(path)).config["vocab_size"] == 301

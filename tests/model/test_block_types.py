"""Files of every quantized type, alone and mixed: the logits are those of float products of the same weights."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from belle_edge import _core
from belle_edge.errors import ModelFormatError

from .gguf_models import VOCAB_SIZE, GgufModel, random_bloom, random_llama
from .random_blocks import in_blocks

TYPES = [name for name, kind in _core.weight_types().items() if kind["quantized"]]
IDS = np.random.default_rng(5).integers(0, VOCAB_SIZE, size=40, dtype=np.int32)
BOUND = 0.12  # relative RMS error of logits: activations in int8, through two layers of random weights


def wide_model(architecture: str) -> GgufModel:
    """Rows that the largest blocks divide."""
    if architecture == "bloom":
        return random_bloom(hidden=256, n_heads=4)
    return random_llama(hidden=256, feed_forward=512)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("block-types")


@cache
def files(folder: Path, architecture: str, *types: str) -> tuple[Path, Path]:
    """The file in blocks of these types, and the one in floats."""
    blocks, floats = in_blocks(wide_model(architecture), *types)
    stem = f"{architecture}-{'-'.join(types)}"
    return blocks.write(folder / f"{stem}.gguf"), floats.write(folder / f"{stem}-floats.gguf")


def prompt_and_decoded(path: Path, isa: str = "") -> NDArray[np.float32]:
    """Logits of a prompt, then of tokens one at a time, and of a few together."""
    model = _core.Model(str(path), isa=isa, kv_type="f32", threads=2)
    sequence = model.new_sequence()
    rows = [model.forward([(sequence, IDS[:30])], logits="all")[0]]
    rows += [model.forward([(sequence, IDS[i : i + 1])], decode=True)[0] for i in range(30, 34)]
    rows.append(model.forward([(sequence, IDS[34:])], logits="all", decode=True)[0])
    return np.concatenate(rows)


@cache
def exact(floats: Path) -> NDArray[np.float32]:
    return prompt_and_decoded(floats)


def assert_near(path: Path, floats: Path, isa: str = "") -> None:
    got, expected = prompt_and_decoded(path, isa), exact(floats)
    assert got.shape == expected.shape == (len(IDS), VOCAB_SIZE)
    assert np.linalg.norm(got - expected) < BOUND * np.linalg.norm(expected)


@pytest.mark.parametrize("type", TYPES)
def test_one_type(folder: Path, tier: str, type: str) -> None:
    assert_near(*files(folder, "llama", type), isa=tier)


@pytest.mark.parametrize("architecture", ["llama", "bloom"])
def test_all_types_in_one_file(folder: Path, tier: str, architecture: str) -> None:
    """Each matrix another type than its neighbours, those that share an input among them."""
    assert_near(*files(folder, architecture, *TYPES), isa=tier)


@pytest.mark.parametrize("type", TYPES)
def test_the_embedding_is_what_the_blocks_hold(folder: Path, type: str) -> None:
    """A tied BLOOM looks its tokens up in the panels of the output matrix."""
    assert_near(*files(folder, "bloom", type))


@pytest.mark.parametrize("type", TYPES)
def test_a_scale_that_is_not_finite(folder: Path, tmp_path: Path, type: str) -> None:
    """In the first block and in the last one: d, and the minimum's scale where there is one."""
    path, _ = files(folder, "llama", type)
    tensor = next(it for it in _core.GgufFile(str(path)).tensors() if it.name == "blk.1.ffn_down.weight")
    kind, data = _core.weight_types()[type], path.read_bytes()
    for at in kind["scale_offsets"]:
        for block in (tensor.offset, tensor.offset + tensor.n_bytes - kind["block_bytes"]):
            for bits in (0x7C00, 0xFC00, 0x7E01):
                damaged = bytearray(data)
                damaged[block + at : block + at + 2] = bits.to_bytes(2, "little")
                bad = tmp_path / "bad.gguf"
                bad.write_bytes(damaged)
                with pytest.raises(
                    ModelFormatError, match=r"'blk\.1\.ffn_down\.weight' holds NaN or infinite"
                ):
                    _core.Model(str(bad), threads=2)


@pytest.mark.parametrize("type", TYPES)
def test_any_codes_and_whole_scales_load(folder: Path, tmp_path: Path, type: str) -> None:
    """Bytes that look like a NaN are none outside the half-precision scales."""
    model, _ = in_blocks(wide_model("llama"), type)
    kind = _core.weight_types()[type]
    for name, (ggml_type, rows) in model.raw.items():
        blocks = np.full_like(rows.reshape(-1, kind["block_bytes"]), 0xFF)
        for at in kind["scale_offsets"]:
            blocks[:, at : at + 2] = np.array([1e-3], "<f2").view(np.uint8)
        model.raw[name] = (ggml_type, blocks.reshape(rows.shape))
    loaded = _core.Model(str(model.write(tmp_path / "ones.gguf")))
    assert np.isfinite(loaded.forward([(loaded.new_sequence(), IDS)])[0]).all()


def test_rows_that_blocks_do_not_divide(tmp_path: Path) -> None:
    """The gguf package does not write such a file; a field changed afterwards makes one."""
    blocks, _ = in_blocks(wide_model("llama"), "q6_k")
    path = blocks.write(tmp_path / "narrow.gguf")
    name = b"blk.0.attn_q.weight"
    data = bytearray(path.read_bytes())
    at = data.index(name) + len(name) + 4  # behind the number of dimensions
    data[at : at + 8] = (224).to_bytes(8, "little")
    path.write_bytes(data)
    with pytest.raises(
        ModelFormatError, match="rows of 224 weights, not a multiple of the 256 that q6_k needs"
    ):
        _core.Model(str(path))

"""Quantization on every instruction set: the same bytes, and the gguf package's, whatever the values."""

from __future__ import annotations

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

from belle_edge import _core

TIERS = [tier["name"] for tier in _core.isa_tiers() if tier["supported"]]
TYPES = {
    "q4_0": gguf.GGMLQuantizationType.Q4_0,
    "q4_1": gguf.GGMLQuantizationType.Q4_1,
    "q5_0": gguf.GGMLQuantizationType.Q5_0,
    "q5_1": gguf.GGMLQuantizationType.Q5_1,
    "q8_0": gguf.GGMLQuantizationType.Q8_0,
    "f16": gguf.GGMLQuantizationType.F16,
    "bf16": gguf.GGMLQuantizationType.BF16,
    "f32": gguf.GGMLQuantizationType.F32,
}
SEARCHED = [type for type in _core.weight_types() if type not in TYPES]  # the package cannot write these


def blocks(n_rows: int, n_cols: int) -> NDArray[np.float32]:
    """Rows of many kinds: ordinary, tiny, huge, sparse, constant, zeros of both signs, ties of magnitude, halves."""
    random = np.random.default_rng(7)
    x = random.standard_normal((n_rows, n_cols)).astype(np.float32)
    kind = np.arange(n_rows) % 10
    x[kind == 1] *= np.float32(1e-39)  # subnormal
    x[kind == 2] *= np.float32(5000.0)
    x[kind == 3] *= random.random((int((kind == 3).sum()), n_cols)) < 0.1
    x[kind == 4] = np.float32(-0.375)
    x[kind == 5] = random.choice(np.float32([0.0, -0.0]), (int((kind == 5).sum()), n_cols))
    x[kind == 6] = random.choice(np.float32([1.5, -1.5, 0.75]), (int((kind == 6).sum()), n_cols))
    x[kind == 7] = np.round(x[kind == 7] * 4) / 8  # codes on the border between two
    x[kind == 8] *= np.float32(6e-8)  # scales that are subnormal in f16
    x[kind == 9] = np.abs(x[kind == 9])
    return x


@pytest.mark.parametrize("isa", TIERS)
@pytest.mark.parametrize("type", [*TYPES, *SEARCHED])
@pytest.mark.parametrize("source", ["f32", "f16", "bf16"])
def test_every_tier_writes_the_same_bytes(isa: str, type: str, source: str) -> None:
    x = blocks(40, 512) if type in SEARCHED else blocks(400, 96)
    rows: NDArray[np.generic] = x
    if source == "f16":
        rows = x.astype(np.float16)
        x = rows.astype(np.float32)
    if source == "bf16":
        rows = (x.view(np.uint32) >> 16).astype(np.uint16)
        x = (rows.astype(np.uint32) << 16).view(np.float32)
    got = _core.quantize(rows, type, isa=isa)  # type: ignore[arg-type]
    assert np.array_equal(got, _core.quantize(x, type, isa="scalar", threads=1))
    if source == "f32" and type in TYPES:
        # Left out: scales whose inverse is no float (there the codes mean nothing), and the sign of a minimum of zeros.
        ordinary = ~np.isin(np.arange(len(x)) % 10, (1, 3, 5) if type in ("q4_1", "q5_1") else (1,))
        expected = gguf.quants.quantize(x[ordinary], TYPES[type]).view(np.uint8)
        assert np.array_equal(got[ordinary], expected.reshape(-1, got.shape[1]))


@pytest.mark.parametrize("isa", TIERS)
@pytest.mark.parametrize("n_cols", [1, 7, 8, 9, 33])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_odd_rows_of_floats_and_odd_addresses(isa: str, n_cols: int, dtype: type[np.generic]) -> None:
    x = blocks(30, n_cols).astype(dtype)
    raw = np.empty(x.nbytes + 1, dtype=np.uint8)
    raw[1:] = x.reshape(-1).view(np.uint8)
    shifted = raw[1:].view(dtype).reshape(x.shape)
    assert not shifted.flags.aligned
    for rows in (x, shifted):
        got = _core.quantize(rows, "f32", isa=isa).view(np.float32)  # type: ignore[arg-type]
        assert np.array_equal(got, x.astype(np.float32))


@pytest.mark.parametrize("isa", TIERS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [0, 7, 31, 40, 63])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_what_is_not_finite_is_found(isa: str, value: float, at: int, dtype: type[np.generic]) -> None:
    x = np.ones((5, 64), dtype=dtype)
    x[3, at] = value
    with pytest.raises(ValueError, match="row 3"):
        _core.quantize(x, "q8_0", isa=isa, threads=1)


def test_an_unknown_tier_lists_the_choices() -> None:
    with pytest.raises(ValueError, match="scalar"):
        _core.quantize(np.zeros((1, 32), np.float32), "q4_0", isa="mmx")

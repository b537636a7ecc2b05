"""Blocks of every quantized type as the `gguf` package reads them: each code, each whole-number scale, each half."""

from __future__ import annotations

import itertools

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

from belle_edge import _core

KINDS = {name: kind for name, kind in _core.weight_types().items() if kind["quantized"]}
Blocks = NDArray[np.uint8]


def random_blocks(type: str, n_blocks: int, halves: NDArray[np.float16]) -> Blocks:
    """[n_blocks, block_bytes]: random codes and whole-number scales; d and m run through `halves`."""
    kind = KINDS[type]
    random = np.random.default_rng(kind["ggml_id"])
    blocks = random.integers(0, 256, (n_blocks, kind["block_bytes"]), dtype=np.uint8)
    for i, at in enumerate(kind["scale_offsets"]):
        chosen = np.resize(np.roll(halves, i * 1001), n_blocks).astype("<f2")
        blocks[:, at : at + 2] = chosen.view(np.uint8).reshape(n_blocks, 2)
    return blocks


def expected(blocks: Blocks, type: str) -> NDArray[np.float32]:
    return np.asarray(gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType(KINDS[type]["ggml_id"])))


@pytest.mark.parametrize("type", KINDS)
def test_the_table_of_types(type: str) -> None:
    kind = gguf.GGMLQuantizationType(KINDS[type]["ggml_id"])
    assert kind.name.lower() == type
    assert gguf.GGML_QUANT_SIZES[kind] == (KINDS[type]["block_size"], KINDS[type]["block_bytes"])


@pytest.mark.parametrize("type", KINDS)
def test_random_blocks_have_the_packages_bits(type: str) -> None:
    every = np.arange(0, 1 << 16, 13, dtype=np.uint16).view(
        np.float16
    )  # subnormals and the largest among them
    halves = every[np.isfinite(every)]
    blocks = random_blocks(type, len(halves), halves)
    got = _core.dequantize(blocks, type)
    np.testing.assert_array_equal(got.view(np.uint32), expected(blocks, type).view(np.uint32))


# What a code and the whole-number scale and minimum of its neighbours may be; d is 1, and dmin is DMIN.
DMIN = 2048.0
FOUR_BITS, SIX_BITS = range(16), range(64)
UNEVEN = gguf.quants.IQ4_NL.kvalues
VALUES: dict[str, set[float]] = {
    "q2_k": {q * d - DMIN * m for q, d, m in itertools.product(range(4), FOUR_BITS, FOUR_BITS)},
    "q3_k": {float(q * d) for q, d in itertools.product(range(-4, 4), range(-32, 32))},
    "q4_k": {q * d - DMIN * m for q, d, m in itertools.product(FOUR_BITS, SIX_BITS, SIX_BITS)},
    "q5_k": {q * d - DMIN * m for q, d, m in itertools.product(range(32), SIX_BITS, SIX_BITS)},
    "q6_k": {float(q * d) for q, d in itertools.product(range(-32, 32), range(-128, 128))},
    "iq4_nl": {float(q) for q in UNEVEN},
    "iq4_xs": {float(q * d) for q, d in itertools.product(UNEVEN, range(-32, 32))},
    "q4_0": {float(q) for q in range(-8, 8)},
    "q4_1": {q + DMIN for q in FOUR_BITS},
    "q5_0": {float(q) for q in range(-16, 16)},
    "q5_1": {q + DMIN for q in range(32)},
    "q8_0": {float(q) for q in range(-128, 128)},
}


@pytest.mark.parametrize("type", KINDS)
def test_every_code_meets_every_scale(type: str) -> None:
    """All that codes and scales can stand for, and nothing else, comes out of random bytes."""
    n_blocks = 16384 if len(VALUES[type]) > 10_000 else 4096
    blocks = random_blocks(type, n_blocks, np.ones(1, dtype=np.float16))
    if len(KINDS[type]["scale_offsets"]) == 2:
        at = KINDS[type]["scale_offsets"][1]
        blocks[:, at : at + 2] = np.array([DMIN], dtype="<f2").view(np.uint8)
    assert set(np.unique(_core.dequantize(blocks, type)).tolist()) == VALUES[type]


def test_types_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"'q7_0' is unknown: expected f32, .* or iq4_xs"):
        _core.dequantize(np.zeros((1, 18), dtype=np.uint8), "q7_0")
    with pytest.raises(ValueError, match=r"'iq3_s' is unknown: expected f32, .* or iq4_xs"):
        _core.quantize(np.zeros((1, 256), dtype=np.float32), "iq3_s")


@pytest.mark.parametrize("type", KINDS)
def test_rows_of_half_a_block(type: str) -> None:
    data = np.zeros((2, KINDS[type]["block_bytes"] * 3 // 2), dtype=np.uint8)
    with pytest.raises(ValueError, match=f"not whole blocks of {type}"):
        _core.dequantize(data, type)

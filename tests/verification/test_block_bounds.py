"""The limits of types whose scales are searched for: the nearest codes pass, other data and empty blocks do not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from belle_edge import _core
from belle_edge.verification.block_bounds import is_searched, searched_limits

from ..model.random_blocks import random_blocks, set_halves, values
from .test_bounds import values as values_of_kind

TYPES = [name for name in _core.weight_types() if is_searched(name)]
WRITTEN = [name for name in TYPES if _core.weight_types()[name]["written"]]
KINDS = ("normal", "outliers", "tiny", "far from zero", "constant", "zero", "both ends", "one sided")


def beyond(source: NDArray[np.float32], blocks: NDArray[np.uint8], type: str) -> float:
    """The share of values that are too far off."""
    stored = _core.dequantize(blocks, type)
    return float((np.abs(stored - source) > searched_limits(source, stored, blocks, type)).mean())


def half_gaps(blocks: NDArray[np.uint8], type: str) -> NDArray[np.float32]:
    """Half of the smallest step between two codes, for each value: from blocks whose codes are all 0, and all 1."""
    shape = (-1, _core.weight_types()[type]["block_bytes"])
    ends = []
    for byte in (0x00, 0xFF):
        changed = blocks.reshape(shape).copy()
        start, stop = {"q2_k": (16, 80), "q3_k": (0, 96), "q6_k": (0, 192), "iq4_nl": (2, 18)}.get(
            type, (16, None)
        )
        start = 8 if type == "iq4_xs" else start
        changed[:, start:stop] = byte
        ends.append(values(changed.reshape(blocks.shape), type))
    n_steps = {"q2_k": 3, "q3_k": 7, "q4_k": 15, "q5_k": 31, "q6_k": 63}.get(type, 240 / 10)
    return np.asarray(np.abs(ends[1] - ends[0]) / (2 * n_steps), dtype=np.float32)


@pytest.mark.parametrize("type", TYPES)
def test_the_nearest_codes_pass(type: str) -> None:
    blocks = random_blocks(type, 64, 512)
    noise = np.random.default_rng(2).uniform(-1, 1, (64, 512)).astype(np.float32)
    assert beyond(values(blocks, type) + noise * half_gaps(blocks, type), blocks, type) == 0


@pytest.mark.parametrize("type", TYPES)
def test_other_data_do_not(type: str) -> None:
    blocks = random_blocks(type, 64, 512)
    source = values(blocks, type)
    assert beyond(np.roll(source, 1, axis=0), blocks, type) > 0.1  # rows exchanged


@pytest.mark.parametrize("type", TYPES)
def test_a_single_changed_value_does_not(type: str) -> None:
    """One whose code is neither the lowest nor the highest, moved by a few steps."""
    blocks = random_blocks(type, 64, 512)
    source = values(blocks, type)
    gaps = half_gaps(blocks, type)
    rows = [row for row in range(64) if gaps[row, 0] > 1e-3]
    for row in rows[:8]:
        column = int(np.argsort(source[row, :16])[8])
        changed = source.copy()
        changed[row, column] += 4 * gaps[row, column]
        assert beyond(changed, blocks, type) == pytest.approx(1 / source.size)


@pytest.mark.parametrize("type", TYPES)
def test_blocks_without_a_scale_do_not(type: str) -> None:
    """Everything lies outside what such a block can say; its errors together give it away."""
    blocks = random_blocks(type, 64, 512)
    source = values(blocks, type)
    empty = blocks.reshape(-1, _core.weight_types()[type]["block_bytes"]).copy()
    set_halves(empty, type, [0.0, 0.0])
    assert beyond(source, empty.reshape(blocks.shape), type) > 0.3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("type", WRITTEN)
def test_what_the_converter_writes_passes(type: str, kind: str) -> None:
    source = values_of_kind(kind)
    blocks = _core.quantize(source, type)
    assert beyond(source, blocks, type) == 0
    if kind == "normal":
        assert beyond(np.roll(source, 1, axis=0), blocks, type) > 0.5

"""The limits of each type: rounding never passes them, and hardly more than rounding does."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from belle_edge import _core
from belle_edge.verification.bounds import limits

TYPES = tuple(_core.weight_types())
BY_FORMULA = ("f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1")
# Relative rms error of normally distributed values.
NORMAL_RMS = {
    "f32": 0.0,
    "f16": 0.0003,
    "bf16": 0.002,
    "q8_0": 0.006,
    "q4_0": 0.09,
    "q4_1": 0.08,
    "q5_0": 0.045,
    "q5_1": 0.04,
    "q2_k": 0.3,
    "q3_k": 0.16,
    "q4_k": 0.074,
    "q5_k": 0.036,
    "q6_k": 0.02,
    "iq4_nl": 0.075,
    "iq4_xs": 0.075,
}


def values(kind: str) -> NDArray[np.float32]:
    x = np.random.default_rng(7).standard_normal((256, 512)).astype(np.float32)
    changes = {
        "normal": x,
        "outliers": x * np.where(np.arange(512) % 37 == 0, 1000, 1).astype(np.float32),
        "tiny": x * np.float32(1e-7),  # f16 scales become denormal
        "far from zero": x * np.float32(0.01) + np.float32(5),
        "constant": np.full_like(x, 3.3),
        "zero": np.zeros_like(x),
        "both ends": np.sign(x) * np.float32(0.7),  # q4_0 cuts one of them off
        "one sided": -np.abs(x),
    }
    return changes[kind]


def stored(x: NDArray[np.float32], type: str) -> NDArray[np.float32]:
    return _core.dequantize(_core.quantize(x, type), type)


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize(
    "kind", ["normal", "outliers", "tiny", "far from zero", "constant", "zero", "both ends", "one sided"]
)
def test_rounding_stays_within(kind: str, type: str) -> None:
    x = values(kind)
    assert (np.abs(stored(x, type) - x) <= limits(x, type)).all()


@pytest.mark.parametrize("type", BY_FORMULA)
def test_the_limits_are_tight(type: str) -> None:
    x = values("normal")
    share = np.abs(stored(x, type) - x) / limits(x, type)
    assert share.max() > 0.9


@pytest.mark.parametrize("type", ["q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "iq4_nl", "iq4_xs"])
def test_rows_in_another_order_pass_the_limits(type: str) -> None:
    x = values("normal")
    beyond = np.abs(stored(np.roll(x, 1, axis=0), type) - x) > limits(x, type)
    assert beyond.mean() > 0.4


@pytest.mark.parametrize("type", TYPES)
def test_relative_rms_of_normal_values(type: str) -> None:
    x = values("normal").astype(np.float64)
    error = stored(values("normal"), type) - x
    assert np.sqrt((error**2).sum() / (x**2).sum()) <= NORMAL_RMS[type]


def test_blocks_that_were_taken_over() -> None:
    """Codes in groups of 128 with float32 scales and zeros, kept in q4_1: every code counts."""
    random = np.random.default_rng(3)
    codes = random.integers(0, 16, (64, 4, 128)).astype(np.float32)
    scales = random.uniform(0.5, 1.5, (64, 4, 1)).astype(np.float32)
    zeros = random.integers(1, 17, (64, 4, 1)).astype(np.float32)
    x = (scales * (codes - zeros)).reshape(64, 512)
    minima = (-scales * zeros).astype(np.float16)
    kept = (scales.astype(np.float16).astype(np.float32) * codes + minima.astype(np.float32)).reshape(64, 512)
    allowed = limits(x, "q4_1", same_blocks=True)
    assert (np.abs(kept - x) <= allowed).all()
    step = np.repeat(scales, 128, axis=-1).reshape(64, 512)
    assert (allowed < 0.25 * step).all()

"""The limits of each type: rounding never passes them, and hardly more than rounding does."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from belle_edge import _core
from belle_edge.verification.bounds import limits

TYPES = ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1")
KINDS = ["normal", "outliers", "tiny", "far from zero", "constant", "zero", "both ends", "one sided"]
# Relative rms error of normally distributed values.
NORMAL_RMS = {"f32": 0.0, "f16": 0.0003, "bf16": 0.002, "q8_0": 0.006, "q4_0": 0.09, "q4_1": 0.08}


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
@pytest.mark.parametrize("kind", KINDS)
def test_rounding_stays_within(kind: str, type: str) -> None:
    x = values(kind)
    assert (np.abs(stored(x, type) - x) <= limits(x, type)).all()


SEARCHED = [name for name in _core.weight_types() if name not in TYPES]


def by_llama_cpp(x: NDArray[np.float32], type: str) -> NDArray[np.float32]:
    from llama_cpp._ggml import libggml

    kind = _core.weight_types()[type]
    blocks = np.zeros((len(x), x.shape[1] // kind["block_size"] * kind["block_bytes"]), dtype=np.uint8)
    quantize = libggml.ggml_quantize_chunk
    quantize.restype, number = ctypes.c_size_t, ctypes.c_int64
    quantize.argtypes = [
        ctypes.c_int,
        ctypes.c_void_p,
        ctypes.c_void_p,
        number,
        number,
        number,
        ctypes.c_void_p,
    ]
    quantize(kind["ggml_id"], x.ctypes.data, blocks.ctypes.data, 0, *x.shape, None)
    return _core.dequantize(blocks, type)


@pytest.mark.slow
@pytest.mark.parametrize("type", SEARCHED)
def test_searched_scales_stay_within(llama_cpp: Any, type: str) -> None:
    """llama.cpp's quantizer, and ours where there is one; a block of other values is found."""
    for kind in KINDS:
        x = values(kind)
        allowed = limits(x, type)
        found = [by_llama_cpp(x, type), *([stored(x, type)] if _core.weight_types()[type]["written"] else [])]
        for made in found:
            assert (np.abs(made - x) <= allowed).all(), kind
    x = values("normal")
    assert limits(x, type).mean() < (2.5 if type[1] in "23" else 0.9)
    assert (np.abs(by_llama_cpp(x, type) - np.roll(x, 1, axis=0)) > limits(np.roll(x, 1, axis=0), type)).any()


@pytest.mark.parametrize("type", TYPES[1:])
def test_the_limits_are_tight(type: str) -> None:
    x = values("normal")
    share = np.abs(stored(x, type) - x) / limits(x, type)
    assert share.max() > 0.9


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

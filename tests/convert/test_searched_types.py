"""The types whose scales are searched for: bounds, edges of binary16, importance, and llama.cpp's quantizer beside."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

from belle_edge import _core

Rows = NDArray[np.float32]
TIERS = [tier["name"] for tier in _core.isa_tiers() if tier["supported"]]
# The sub-block that has a scale of its own, and what part of a Gaussian row's energy the error may be.
SUB_BLOCKS = {"q2_k": 16, "q3_k": 16, "q4_k": 32, "q5_k": 32, "q6_k": 16, "iq4_nl": 32, "iq4_xs": 32}
BOUNDS = {
    "q2_k": 0.09,
    "q3_k": 0.026,
    "q4_k": 0.0055,
    "q5_k": 0.0013,
    "q6_k": 0.0004,
    "iq4_nl": 0.006,
    "iq4_xs": 0.006,
}
every_type = pytest.mark.parametrize("type", SUB_BLOCKS)


def gaussian(n_rows: int, n_cols: int, seed: int = 3) -> Rows:
    return np.random.default_rng(seed).standard_normal((n_rows, n_cols)).astype(np.float32)


def rounded(rows: Rows, type: str, **options: Any) -> Rows:
    return _core.dequantize(_core.quantize(rows, type, **options), type)


def energy(rows: NDArray[Any], weights: NDArray[Any] | float = 1.0) -> float:
    return float((weights * np.square(rows.astype(np.float64))).sum())


@every_type
def test_the_error_of_gaussian_rows(type: str) -> None:
    x = gaussian(32, 1024)
    assert energy(x - rounded(x, type)) < BOUNDS[type] * energy(x)


@every_type
def test_zeros_and_constants(type: str) -> None:
    x = np.zeros((4, 512), dtype=np.float32)
    assert not rounded(x, type).any()
    for constant in (0.375, -0.375, 3e4, -1e-3):
        x[:] = constant
        assert (
            np.abs(rounded(x, type) / constant - 1).max() < 2**-8
        )  # the scales' own 11 bits, and a product of two


@every_type
def test_zeros_among_others(type: str) -> None:
    """A sub-block of zeros beside ordinary ones stays zeros."""
    x = gaussian(4, 512)
    x[:, 64:96] = 0.0
    assert not rounded(x, type)[:, 64:96].any()


@every_type
@pytest.mark.parametrize("isa", TIERS)
def test_a_power_of_two_changes_the_scales_alone(type: str, isa: str) -> None:
    """Nothing under- or overflows on the way, as long as the scales are normal halves."""
    x = gaussian(8, 512)
    for exponent in (3, 9):
        factor = np.float32(2.0**exponent)
        np.testing.assert_array_equal(rounded(x * factor, type, isa=isa), rounded(x, type, isa=isa) * factor)


@every_type
def test_the_ends_of_half_floats(type: str) -> None:
    """What scales cannot reach is cut off, what they cannot resolve becomes zeros or less wrong than these."""
    x = gaussian(4, 512)
    huge = rounded(x * np.float32(1e37), type)
    assert np.isfinite(huge).all()
    assert (huge * np.sign(x) >= 0).all()
    assert np.abs(huge).max() > 1e6
    largest = rounded(x * np.float32(6e4), type)
    assert energy(largest - x * np.float32(6e4)) < BOUNDS[type] * energy(x * np.float32(6e4))
    assert not rounded(x * np.float32(1e-39), type).any()
    for factor in (1e-9, 3e-8, 1e-7, 1e-6, 1e-5):
        tiny = x * np.float32(factor)
        assert energy(tiny - rounded(tiny, type)) <= 1.1 * energy(tiny)  # large weights count more than here


@every_type
@pytest.mark.parametrize("isa", TIERS)
def test_threads_and_tiers_write_the_same_bytes(type: str, isa: str) -> None:
    x = gaussian(200, 512) * np.exp(gaussian(200, 1, seed=4))
    expected = _core.quantize(x, type, threads=1, isa="scalar")
    for threads in (1, 2, 5):
        assert np.array_equal(_core.quantize(x, type, threads=threads, isa=isa), expected)


@every_type
def test_blocks_do_not_depend_on_their_neighbours(type: str) -> None:
    size = _core.weight_types()[type]["block_size"]
    x = gaussian(2, 768) * np.exp(3 * gaussian(2, 768, seed=4))
    whole = _core.quantize(x, type)
    parts = [_core.quantize(x[:, at : at + size], type) for at in range(0, 768, size)]
    assert np.array_equal(whole, np.concatenate(parts, axis=1))


@every_type
def test_columns_that_count_more_get_less_error(type: str) -> None:
    x = gaussian(64, 512)
    importance = np.exp(2 * gaussian(1, 512, seed=5)[0])
    plain, weighted = rounded(x, type), rounded(x, type, importance=importance)
    assert energy(x - weighted, importance) < 0.9 * energy(x - plain, importance)
    equal = rounded(x, type, importance=np.full(512, 1000.0, dtype=np.float32))
    assert energy(x - equal) < 1.001 * energy(x - plain)
    nothing = rounded(x, type, importance=np.zeros(512, dtype=np.float32))
    np.testing.assert_array_equal(nothing, plain)


FORMULA_TYPES = ("q4_0", "q4_1", "q5_0", "q5_1", "q8_0")
every_formula_type = pytest.mark.parametrize("type", FORMULA_TYPES)


@every_formula_type
def test_importance_has_the_scales_of_formula_types_searched(type: str) -> None:
    x = gaussian(64, 512 + 96)  # the last blocks do not fill a vector
    importance = np.exp(2 * gaussian(1, x.shape[1], seed=5)[0])
    plain, weighted = rounded(x, type), rounded(x, type, importance=importance)
    assert energy(x - weighted, importance) < 0.8 * energy(x - plain, importance)
    equal = rounded(x, type, importance=np.ones(x.shape[1], dtype=np.float32))
    assert energy(x - equal) < 0.98 * energy(x - plain)
    kind = gguf.GGMLQuantizationType(_core.weight_types()[type]["ggml_id"])
    np.testing.assert_array_equal(plain, gguf.quants.dequantize(gguf.quants.quantize(x, kind), kind))


@every_formula_type
def test_importance_with_extreme_rows(type: str) -> None:
    x, ones = gaussian(6, 256), np.ones(256, dtype=np.float32)
    x[0] = 0.0
    x[1] *= np.float32(1e37)
    x[2] = 0.375
    x[3] = x[3] * np.float32(1e-3) + 7.0
    got = rounded(x, type, importance=ones)
    assert not got[0].any()
    assert np.isfinite(got).all()
    assert np.abs(got[2] / 0.375 - 1).max() < 2**-8
    if type.endswith("1"):
        assert np.abs(got[3] - x[3]).max() < 0.004  # a minimum near 7 has steps of 2**-8
    for isa in TIERS:
        np.testing.assert_array_equal(rounded(x, type, importance=ones, isa=isa), got)


def test_importance_is_checked() -> None:
    x = gaussian(2, 256)
    ones = np.ones(256, dtype=np.float32)
    with pytest.raises(ValueError, match="f16 has no scales, and no use of it"):
        _core.quantize(x, "f16", importance=ones)
    with pytest.raises(ValueError, match="expected 256 numbers"):
        _core.quantize(x, "q4_k", importance=ones[:255])
    for bad in (-1.0, np.nan, np.inf):
        ones[7] = bad
        with pytest.raises(ValueError, match="column 7"):
            _core.quantize(x, "q4_k", importance=ones)


@every_type
def test_rows_of_half_a_block_are_refused(type: str) -> None:
    size = _core.weight_types()[type]["block_size"]
    with pytest.raises(ValueError, match=f"multiple of {size}"):
        _core.quantize(gaussian(2, size + size // 2), type)


class LlamaCppQuantizer:
    """llama.cpp's own rounding, without an importance matrix."""

    def __init__(self, llama_cpp: Any) -> None:
        libraries = Path(llama_cpp.__file__).parent / "lib"
        found = [path for path in libraries.iterdir() if "ggml-base" in path.name]
        if not found:
            pytest.skip("this llama-cpp-python has no library ggml-base")
        self._quantize = ctypes.CDLL(str(found[0])).ggml_quantize_chunk
        self._quantize.restype = ctypes.c_size_t
        number, pointer = ctypes.c_int64, ctypes.c_void_p
        self._quantize.argtypes = [ctypes.c_int, pointer, pointer, number, number, number, pointer]

    def rounded(self, rows: Rows, type: str) -> Rows:
        kind = _core.weight_types()[type]
        rows = np.ascontiguousarray(rows)
        n_rows, n_cols = rows.shape
        out = np.empty((n_rows, n_cols // kind["block_size"] * kind["block_bytes"]), dtype=np.uint8)
        n_bytes = self._quantize(kind["ggml_id"], rows.ctypes.data, out.ctypes.data, 0, n_rows, n_cols, None)
        assert n_bytes == out.size
        return np.asarray(gguf.quants.dequantize(out, gguf.GGMLQuantizationType(kind["ggml_id"])))


def llama_cpp_weights(x: Rows, type: str) -> NDArray[np.float64]:
    """What llama.cpp weighs the squares of errors with, where it has no importance matrix."""
    if type in ("q4_k", "q5_k"):
        parts = x.astype(np.float64).reshape(-1, SUB_BLOCKS[type])
        root_mean_square = np.sqrt(np.square(parts).mean(axis=1, keepdims=True))
        return np.asarray((root_mean_square + np.abs(parts)).reshape(x.shape))
    return np.abs(x).astype(np.float64) if type == "q2_k" else np.square(x.astype(np.float64))


@pytest.fixture(scope="module")
def matrices(test_data: Path) -> dict[str, Rows]:
    """Some rows of trained matrices, and of a normal and a heavy-tailed distribution."""
    safetensors = pytest.importorskip("safetensors.numpy")
    random = np.random.default_rng(11)
    rows: dict[str, Rows] = {
        "normal": gaussian(24, 1024),
        "student": random.standard_t(3, (24, 1024)).astype(np.float32),
    }
    for model in ("belle-tiny-zh", "belle-tiny-zh-outliers"):
        tensors = safetensors.load_file(test_data / "models" / model / "model.safetensors")
        for name in ("word_embeddings", "h.0.self_attention.query_key_value", "h.3.mlp.dense_4h_to_h"):
            whole = tensors[f"transformer.{name}.weight"]
            chosen = random.permutation(len(whole))[: 24576 // whole.shape[1]]
            rows[f"{model} {name}"] = whole[chosen].astype(np.float32)
    return rows


@every_type
def test_never_worse_than_llama_cpp(type: str, matrices: dict[str, Rows], llama_cpp: Any) -> None:
    peer = LlamaCppQuantizer(llama_cpp)
    for name, x in matrices.items():
        ours, theirs, weights = x - rounded(x, type), x - peer.rounded(x, type), llama_cpp_weights(x, type)
        assert energy(ours) <= energy(theirs), name
        assert energy(ours, weights) <= energy(theirs, weights), name

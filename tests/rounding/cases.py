"""Second moments and rows to round with them, and the values that codes can stand for."""

from __future__ import annotations

from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

from belle_edge import _core

Rows = NDArray[np.float32]
TYPES = {name: kind for name, kind in _core.weight_types().items() if kind["quantized"] and kind["written"]}
TIERS = [tier["name"] for tier in _core.isa_tiers() if tier["supported"]]


def moments(n_cols: int, *, seed: int = 1) -> Rows:
    """Of inputs that are correlated and differ in size, as those of a model are; [n_cols, n_cols]."""
    random = np.random.default_rng(seed)
    mixed = random.standard_normal((4 * n_cols, n_cols)) @ (
        np.eye(n_cols) + 2 * random.standard_normal((n_cols, n_cols)) / np.sqrt(n_cols)
    )
    inputs = mixed * np.exp(random.standard_normal(n_cols))
    return np.asarray(inputs.T @ inputs / len(inputs), dtype=np.float32)


def gaussian(n_rows: int, n_cols: int, *, seed: int = 2) -> Rows:
    return 0.05 * np.random.default_rng(seed).standard_normal((n_rows, n_cols)).astype(np.float32)


def dequantized(blocks: NDArray[np.uint8], type: str) -> Rows:
    """By the `gguf` package."""
    return np.asarray(gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType(TYPES[type]["ggml_id"])))


def errors(rows: Rows, rounded: Rows, second_moments: Rows) -> NDArray[np.float64]:
    """(w - q) H (w - q)^T of each row."""
    off = rows.astype(np.float64) - rounded
    return np.asarray(((off @ second_moments.astype(np.float64)) * off).sum(axis=1))


# Where a block has its codes: (first byte, bytes, bits of a code before them, bits of a code there).
_CODES: dict[str, list[tuple[int, int, int, int]]] = {
    "q4_0": [(2, 16, 0, 4)],
    "q4_1": [(4, 16, 0, 4)],
    "q5_0": [(6, 16, 0, 4), (2, 4, 4, 1)],
    "q5_1": [(8, 16, 0, 4), (4, 4, 4, 1)],
    "q8_0": [(2, 32, 0, 8)],
    "q2_k": [(16, 64, 0, 2)],
    "q3_k": [(32, 64, 0, 2), (0, 32, 2, 1)],
    "q4_k": [(16, 128, 0, 4)],
    "q5_k": [(48, 128, 0, 4), (16, 32, 4, 1)],
    "q6_k": [(0, 128, 0, 4), (128, 64, 4, 2)],
    "iq4_nl": [(2, 16, 0, 4)],
    "iq4_xs": [(8, 128, 0, 4)],
}


def values_of_codes(blocks: NDArray[np.uint8], type: str) -> NDArray[np.float64]:
    """[n_codes, n_rows, n_cols]: what each weight would be with each code, the blocks' scales as they are."""
    n_rows, kind = len(blocks), TYPES[type]
    every = blocks.reshape(-1, kind["block_bytes"]).copy()
    n_bits = sum(bits for _, _, _, bits in _CODES[type])
    values = []
    for code in range(1 << n_bits):
        if type == "q8_0" and code == 128:  # -128, which no writer uses
            continue
        for first, n_bytes, before, bits in _CODES[type]:
            part = (code >> before) & ((1 << bits) - 1)
            every[:, first : first + n_bytes] = sum(part << shift for shift in range(0, 8, bits))
        values.append(dequantized(every.reshape(n_rows, -1), type).astype(np.float64))
    return np.stack(values)


def factored(second_moments: Rows, damping: float) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The order of columns, and U of P H P^T + damping = (I + U) D (I + U)^T; by a textbook elimination."""
    energies = np.diag(second_moments)
    order = np.argsort(-energies, kind="stable")
    damped = second_moments.astype(np.float64)[np.ix_(order, order)]
    mean = energies[energies > 0].mean(dtype=np.float64) if energies.any() else 1.0
    zeros = np.diag(damped) == 0
    damped[zeros, zeros] = mean
    damped += damping * mean * np.eye(len(damped))
    upper = np.zeros_like(damped)
    for k in reversed(range(len(damped))):
        upper[:k, k] = damped[:k, k] / damped[k, k]
        damped[:k, :k] -= np.outer(upper[:k, k], damped[:k, k])
    return order, upper


def reference(rows: Rows, type: str, second_moments: Rows, *, damping: float = 0.01, **options: Any) -> Rows:
    """Error feedback in double precision, a column at a time; scales by the weighted search."""
    energies = np.diag(second_moments).copy()
    values = values_of_codes(_core.quantize(rows, type, importance=energies, **options), type)
    order, upper = factored(second_moments, damping)
    rounded = np.zeros(rows.shape)
    off = np.zeros(rows.shape)  # in the order of rounding
    for k, column in enumerate(order):
        target = rows[:, column] + off @ upper[:, k]
        nearest = np.abs(values[:, :, column] - target).argmin(axis=0)
        rounded[:, column] = values[nearest, np.arange(len(rows)), column]
        off[:, k] = rows[:, column] - rounded[:, column]
    return rounded.astype(np.float32)

"""A matrix product whose bits depend on nothing but its factors: not on the machine, its BLAS, or the threads of it.

The same input has to give the same file, and BLAS sums in another order on another machine. Here the factors are first
rounded, to 21 to 26 bits (about as many as float32 has), so that all products and sums are exact in float64, in any
order.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FLOAT64_BITS = 53
_BLOCK_BYTES = 4 << 20  # of float64 results at a time


def exact_product(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """left [n, r] · right [r, m], rounded to float32 once at the end.

    The error is about that of float32: 2^-21 or less of the largest |left[i, k]| · max|right[k]| of a row i.
    """
    n_rows, rank = left.shape
    bits = (_FLOAT64_BITS - math.ceil(math.log2(max(rank, 1)))) // 2
    scale = _power_of_two_above(
        right, axis=1
    )  # [r, 1]: one factor must not be small where the other is large
    right64 = _rounded(right / scale, axis=0, bits=bits)
    left64 = _rounded(left * scale.reshape(1, -1), axis=1, bits=bits)
    result = np.empty((n_rows, right.shape[1]), dtype=np.float32)
    step = max(1, _BLOCK_BYTES // (8 * max(1, right.shape[1])))
    block = np.empty((min(step, n_rows), right.shape[1]))
    for start in range(0, n_rows, step):
        n_here = min(step, n_rows - start)
        result[start : start + n_here] = np.matmul(
            left64[start : start + n_here], right64, out=block[:n_here]
        )
    return result


def _power_of_two_above(values: NDArray[np.floating[Any]], *, axis: int) -> NDArray[np.float64]:
    """The power of two above the largest absolute value along an axis; 1 for zeros."""
    _, exponent = np.frexp(np.abs(values).max(axis=axis, keepdims=True, initial=0.0))
    return np.asarray(np.ldexp(1.0, exponent), dtype=np.float64)


def _rounded(values: NDArray[np.float64], *, axis: int, bits: int) -> NDArray[np.float64]:
    """Multiples of one step along the axis, at most 2^bits of it."""
    step = _power_of_two_above(values, axis=axis) * 2.0**-bits
    return np.asarray(np.rint(values / step) * step)

"""How far a stored value may be from the original: what rounding to each tensor type allows, value by value.

With u the spacing of half precision (2^-11 of a value, and 2^-25 where it is denormal):

* f32: nothing. f16: |x|·2^-11 + 2^-25. bf16: |x|·2^-8.
* q8_0, scale d = max|x|/127 of a block of 32, kept as f16: half a step, and 127 times the scale's own rounding.
* q4_0, d = max|x|/8: half a step, 8 times d's rounding, and what is beyond 7.5 steps: codes reach from -8 to 7 only.
* q4_1, d = (max - min)/15 and the minimum: half a step, 15 times d's rounding and that of the minimum.

So these are limits that hold for any data, not thresholds that some data may pass: a value beyond its limit was not
made from this original.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._core import BLOCK_SIZE

_HALF = 2.0**-11  # relative rounding error of f16
_HALF_TINY = 2.0**-25  # and its absolute error among denormals
_SLACK = 1 + 2.0**-16  # for the float32 arithmetic between


def limits(source: NDArray[np.float32], type: str, *, same_blocks: bool = False) -> NDArray[np.float32]:
    """The largest |stored - source| that `type` allows, for each value of `source` [n_rows, n_cols].

    same_blocks: the source is in blocks of this type already: its codes are kept, scales and minima become f16. Both
    are at most what a row spans, with some room for blocks that do not use all their codes.
    """
    if same_blocks:
        largest = np.abs(source).max(axis=-1, keepdims=True)
        return np.asarray(np.broadcast_to(largest * np.float32(6 * _HALF), source.shape))
    if type == "f32":
        return np.zeros_like(source)
    if type == "f16":
        return np.asarray((np.abs(source) * np.float32(_HALF) + np.float32(_HALF_TINY)) * np.float32(_SLACK))
    if type == "bf16":
        return np.asarray(np.abs(source) * np.float32(2.0**-8 * _SLACK) + np.float32(2.0**-126))
    return _block_limits(source, type)


def _block_limits(source: NDArray[np.float32], type: str) -> NDArray[np.float32]:
    blocks = _blocks(source)
    if type == "q4_1":
        low = blocks.min(axis=-1, keepdims=True)
        step = (blocks.max(axis=-1, keepdims=True) - low) / np.float32(15)
        return _spread(_rounding(step, 15) + np.abs(low) * np.float32(_HALF) + np.float32(_HALF_TINY), source)
    codes = 127 if type == "q8_0" else 8
    step = np.abs(blocks).max(axis=-1, keepdims=True) / np.float32(codes)
    allowed = _spread(_rounding(step, codes), source)
    if type == "q4_0":
        cut_off = np.abs(blocks) - step * np.float32(7.5)
        allowed += np.maximum(cut_off, 0).reshape(source.shape)
    return allowed


def _rounding(step: NDArray[np.float32], codes: int) -> NDArray[np.float32]:
    """Half a step, and what rounding the step itself to f16 does to the largest code."""
    allowed = step * np.float32((0.5 + codes * _HALF) * _SLACK)
    return np.asarray(allowed + np.float32(codes * _HALF_TINY))


def _blocks(source: NDArray[np.float32]) -> NDArray[np.float32]:
    return source.reshape(source.shape[0], -1, BLOCK_SIZE)


def _spread(per_block: NDArray[np.float32], source: NDArray[np.float32]) -> NDArray[np.float32]:
    """[n_rows, n_blocks, 1] → one for each value."""
    return np.repeat(per_block[..., 0], BLOCK_SIZE, axis=1).reshape(source.shape)

"""How far a stored value may be from the original: what rounding to each tensor type allows, value by value.

With u the spacing of half precision (2^-11 of a value, and 2^-25 where it is denormal):

* f32: nothing. f16: |x|·2^-11 + 2^-25. bf16: |x|·2^-8.
* q8_0, scale d = max|x|/127 of a block of 32, kept as f16: half a step, and 127 times the scale's own rounding.
* q4_0, d = max|x|/8: half a step, 8 times d's rounding, and what is beyond 7.5 steps: codes reach from -8 to 7 only.
* q4_1, d = (max - min)/15 and the minimum: half a step, 15 times d's rounding and that of the minimum.
* The other types search for scales with a small weighted error of the whole block; so one value may pay for others.
  Three half steps are allowed, of the even grid over the block's range: searches give up at most two (tests). Scales
  are kept in 4 to 8 bits of a super-block's largest: half of such a step, times the largest code, comes on top.

Those of the first six hold for any data: a value beyond its limit was not made from this original.

Rows that were rounded with error feedback pay with one value for others, so that a value may lie anywhere on its
block's grid. There the sum of all errors is limited: to so much above what the limits above allow, and below the values
themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    searched = next((kind for kind in _SEARCHED if kind.type == type), None)
    return _block_limits(source, type) if searched is None else _searched_limits(source, searched)


def feedback_limits(source: NDArray[np.float32], type: str) -> NDArray[np.float32]:
    """As `limits`, for rows whose errors were fed back: what a grid over the block reaches to either side."""
    n_values = _SUPER_BLOCK if type in _IN_SUPER_BLOCKS else BLOCK_SIZE
    blocks = np.abs(source).reshape(source.shape[0], -1, n_values)
    return np.asarray(np.repeat(2 * blocks.max(axis=-1), n_values, axis=1).reshape(source.shape))


def feedback_rms_limit(*, squared_limits: float, squares: float) -> float:
    """The largest sum of squared errors of such a tensor, given those of `limits` and of its values."""
    return min(_FEEDBACK**2 * squared_limits, _SHARE_OF_VALUES**2 * squares)


@dataclass(frozen=True)
class _Searched:
    """A type whose scales are searched for."""

    type: str
    n_values: int  # that share a scale
    largest_code: float  # a block's range in steps: above its minimum, or to either side of zero
    widest_step: float  # between codes that are neighbours
    has_minimum: bool
    scale_steps: int | None = None  # of a super-block's largest scale; None: each scale is an f16 of its own


# The values of iq4 lie 24 units apart where they are farthest, and reach to 113 on the shorter side.
_SEARCHED = (
    _Searched("q5_0", 32, 15, 1, False),
    _Searched("q5_1", 32, 31, 1, True),
    _Searched("q2_k", 16, 3, 1, True, 15),
    _Searched("q3_k", 16, 3, 1, False, 31),
    _Searched("q4_k", 32, 15, 1, True, 63),
    _Searched("q5_k", 32, 31, 1, True, 63),
    _Searched("q6_k", 16, 31, 1, False, 127),
    _Searched("iq4_nl", 32, 113, 24, False),
    _Searched("iq4_xs", 32, 113, 24, False, 31),
)
_SUPER_BLOCK = 256
_IN_SUPER_BLOCKS = {kind.type for kind in _SEARCHED if kind.scale_steps is not None}
_FEEDBACK = 3  # times the limits of each value: what feedback may cost the plain error
_SHARE_OF_VALUES = 0.9  # another tensor's errors are 1.4 times the values
_HALF_STEPS = 3  # that one value may pay for its block


def _searched_limits(source: NDArray[np.float32], kind: _Searched) -> NDArray[np.float32]:
    n_rows = source.shape[0]
    blocks = source.reshape(n_rows, -1, kind.n_values)
    low = np.minimum(blocks.min(axis=-1), 0) if kind.has_minimum else np.zeros(blocks.shape[:2], np.float32)
    span = blocks.max(axis=-1) - low if kind.has_minimum else np.abs(blocks).max(axis=-1)
    step = np.maximum(span, 0) / np.float32(kind.largest_code)
    half = np.float32(_HALF_STEPS * 0.5 * kind.widest_step)
    largest, lowest = step, np.abs(low)
    if kind.scale_steps is not None:
        largest, lowest = (_of_super_block(values, kind.n_values) for values in (largest, lowest))
    share = np.float32(_HALF + (0.5 / kind.scale_steps if kind.scale_steps is not None else 0))
    allowed = half * (step + largest * share) + (kind.largest_code * largest + lowest) * share
    allowed += np.float32((kind.largest_code + 1) * (kind.scale_steps or 1) * _HALF_TINY)
    return np.asarray(np.repeat(allowed, kind.n_values, axis=1).reshape(source.shape))


def _of_super_block(values: NDArray[np.float32], n_values: int) -> NDArray[np.float32]:
    """The largest of each super-block, for each of its blocks [n_rows, n_blocks]."""
    n_blocks = _SUPER_BLOCK // n_values
    groups = values.reshape(values.shape[0], -1, n_blocks)
    return np.repeat(groups.max(axis=-1), n_blocks, axis=1)


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

"""How far a value may be from the original in the block types whose scales the converter searches for.

The search ends with the nearest code. So wherever a block's own codes reach, a value is off by half a step at most, and
what lies beyond them is at their end. That alone would let pass a block of no scale at all. So the errors of a block
together may not pass those of plain rounding, which a search never does much worse than: scales that span each part,
rounded to the whole numbers that the type has for them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import _core

_SLACK = 1 + 2.0**-10  # for the float32 arithmetic of the search
_TINY = 2.0**-24  # a scale below it is 0 as f16
_SEARCHED = (
    2.0  # a block's rms error beside the largest that plain rounding allows: searches weigh their errors
)


@dataclass(frozen=True)
class _Kind:
    """What plain rounding to a type does; a part is what shares a scale."""

    codes: slice  # the bytes of a block that hold them
    part: int
    n_steps: int  # from the lowest code to the highest
    largest_gap: float = 1.0  # steps between two neighbouring codes
    scale_levels: int = 0  # whole numbers that a part's scale has; 0: a half-precision scale of its own
    minimum: bool = False


_KINDS = {
    "q2_k": _Kind(slice(16, 80), 16, 3, scale_levels=15, minimum=True),
    "q3_k": _Kind(slice(0, 96), 16, 7, scale_levels=31),
    "q4_k": _Kind(slice(16, 144), 32, 15, scale_levels=63, minimum=True),
    "q5_k": _Kind(slice(16, 176), 32, 31, scale_levels=63, minimum=True),
    "q6_k": _Kind(slice(0, 192), 16, 63, scale_levels=127),
    "iq4_nl": _Kind(slice(2, 18), 32, 240, largest_gap=24.0),
    "iq4_xs": _Kind(slice(8, 136), 32, 240, largest_gap=24.0, scale_levels=31),
}


def is_searched(type: str) -> bool:
    """Whether the limits of a type are those of this module."""
    return type in _KINDS


def searched_limits(
    source: NDArray[np.float32], stored: NDArray[np.float32], blocks: NDArray[np.uint8], type: str
) -> NDArray[np.float32]:
    """The largest |stored - source| for each value of [n_rows, n_cols]. blocks: as the file holds them."""
    kind = _KINDS[type]
    ends = [_with_codes(blocks, type, byte) for byte in (0x00, 0xFF)]
    lowest, highest = np.minimum(*ends), np.maximum(*ends)
    half_step = (highest - lowest) * np.float32(kind.largest_gap / kind.n_steps / 2)
    outside = np.maximum(lowest - source, source - highest)
    allowed = np.maximum(half_step, outside) * np.float32(_SLACK) + np.float32(_TINY)
    plain = _plain_limits(source, type)
    too_large = _per_block((stored - source) ** 2, type) > _SEARCHED**2 * _per_block(plain**2, type)
    return np.asarray(np.where(too_large, np.minimum(allowed, plain), allowed))


def _with_codes(blocks: NDArray[np.uint8], type: str, byte: int) -> NDArray[np.float32]:
    """The values of blocks whose codes are all the lowest or all the highest."""
    changed = blocks.reshape(-1, _core.weight_types()[type]["block_bytes"]).copy()
    changed[:, _KINDS[type].codes] = byte
    return _core.dequantize(changed.reshape(blocks.shape), type)


def _plain_limits(source: NDArray[np.float32], type: str) -> NDArray[np.float32]:
    """The largest error of scales that span each part, rounded."""
    kind = _KINDS[type]
    block_size = _core.weight_types()[type]["block_size"]
    parts = source.reshape(-1, block_size // kind.part, kind.part)
    half_gap = 0.5 * kind.largest_gap
    if kind.minimum:
        minimum = np.maximum(-parts.min(axis=-1, keepdims=True), 0)
        span = np.maximum(parts.max(axis=-1, keepdims=True), 0) + minimum
        limit = np.broadcast_to(span * np.float32(half_gap / kind.n_steps), parts.shape)
    else:
        minimum = np.zeros_like(parts[..., :1])
        span = 2 * np.abs(parts).max(axis=-1, keepdims=True)
        step = span / np.float32(kind.n_steps + 1)
        reach = 0.5 * (kind.n_steps + 1) - half_gap  # on the side where the codes end earlier
        limit = step * np.float32(half_gap) + np.maximum(np.abs(parts) - step * np.float32(reach), 0)
    if kind.scale_levels:
        largest = span.max(axis=1, keepdims=True) + minimum.max(axis=1, keepdims=True)
        limit = limit + largest * np.float32(0.5 / kind.scale_levels)
    limit = limit + np.float32(_TINY * kind.n_steps * max(1, kind.scale_levels))
    return np.asarray(limit, dtype=np.float32).reshape(source.shape)


def _per_block(squares: NDArray[np.float32], type: str) -> NDArray[np.float32]:
    """The sum over its block for each value."""
    block_size = _core.weight_types()[type]["block_size"]
    sums = squares.reshape(-1, block_size).sum(axis=-1, dtype=np.float64)
    return np.repeat(sums, block_size).reshape(squares.shape)

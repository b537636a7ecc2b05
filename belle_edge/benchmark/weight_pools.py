"""Random weights of every type, as a pool of blocks that the matrices of a synthetic model take theirs from."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .. import _core

_TYPES = _core.weight_types()
# Primes, so that rows which follow each other start at different blocks: about 8 MB of q4_0, a million weights of the
# others, whose quantizers take time.
_Q4_0_BLOCKS = 466_033
_BLOCKS = {1: 1_048_583, 32: 32_771, 256: 4_099}  # by their size
_CODE_RMS = math.sqrt(sum(code * code for code in range(-7, 8)) / 15)


@dataclass(frozen=True)
class Pool:
    """Blocks whose products with activations have these activations' size."""

    data: bytes
    block_bytes: int
    n_blocks: int

    @classmethod
    def of(cls, type: str, n_cols: int) -> Pool:
        """The same each time. n_cols: of the matrices, which the weights' size depends on."""
        kind = _TYPES[type]
        n_blocks = _Q4_0_BLOCKS if type == "q4_0" else _BLOCKS[kind["block_size"]]
        data = _q4_0(n_cols) if type == "q4_0" else _quantized(type, n_blocks, kind["block_size"], n_cols)
        return cls(data, kind["block_bytes"], n_blocks)

    def pieces(self, index: int, n_bytes: int) -> Iterator[memoryview]:
        """n_bytes of it, around and around, from a place that depends on the tensor's index."""
        view = memoryview(self.data)
        start = index * 104_729 % self.n_blocks * self.block_bytes
        while n_bytes > 0:
            piece = view[start : start + n_bytes]
            yield piece
            n_bytes -= len(piece)
            start = 0


def _q4_0(n_cols: int) -> bytes:
    """Blocks with codes from -7 to 7."""
    block_size, block_bytes = _TYPES["q4_0"]["block_size"], _TYPES["q4_0"]["block_bytes"]
    random = np.random.default_rng(0)
    blocks = np.empty((_Q4_0_BLOCKS, block_bytes), dtype=np.uint8)
    low, high = (
        random.integers(1, 16, size=(_Q4_0_BLOCKS, block_size // 2), dtype=np.uint8) for _ in range(2)
    )
    blocks[:, 2:] = low | (high << 4)
    scales = random.uniform(0.75, 1.25, size=_Q4_0_BLOCKS) / (_CODE_RMS * math.sqrt(n_cols))
    blocks[:, :2] = scales.astype("<f2").view(np.uint8).reshape(_Q4_0_BLOCKS, 2)
    return blocks.tobytes()


def _quantized(type: str, n_blocks: int, block_size: int, n_cols: int) -> bytes:
    """Normal weights through the converter's quantizer."""
    weights = np.random.default_rng(0).standard_normal((n_blocks, block_size), dtype=np.float32)
    return _core.quantize(weights / np.float32(math.sqrt(n_cols)), type).tobytes()

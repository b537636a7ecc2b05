"""What every source of weights provides: named tensors whose rows are read a block at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

RowIndex = slice | NDArray[np.intp]

# Names of the float types a checkpoint may store, with the array type its bytes are viewed as. NumPy has no
# bfloat16: its bits stay in uint16, which the C++ quantizer takes as it is.
FLOAT_TYPES: Mapping[str, type[np.generic]] = {
    "f64": np.float64,
    "f32": np.float32,
    "f16": np.float16,
    "bf16": np.uint16,
}


class SourceTensor(Protocol):
    """One tensor of a checkpoint. Reading it must not cost memory beyond the rows asked for."""

    @property
    def name(self) -> str: ...
    @property
    def file(self) -> str:
        """Name of the file it lies in, for messages."""

    @property
    def dtype(self) -> str:
        """A key of FLOAT_TYPES, or another lower-case name that the converter refuses."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def n_bytes(self) -> int: ...
    def rows(self, index: RowIndex) -> NDArray[Any]:
        """Rows `index` of the first dimension: float32, float16, or bfloat16 bits as uint16."""


@dataclass(frozen=True)
class ArrayTensor:
    """A tensor backed by an array, as a rule a view of a memory-mapped file."""

    name: str
    file: str
    dtype: str
    shape: tuple[int, ...]
    array: NDArray[Any]

    @property
    def n_bytes(self) -> int:
        return math.prod(self.shape) * self.array.itemsize

    def rows(self, index: RowIndex) -> NDArray[Any]:
        block = self.array[index]
        return block.astype(np.float32) if self.dtype == "f64" else block


def to_float32(block: NDArray[Any]) -> NDArray[np.float32]:
    """A block from SourceTensor.rows as float32 of the same shape; exact."""
    if block.dtype == np.uint16:
        return np.asarray((block.astype(np.uint32) << np.uint32(16)).view(np.float32))
    return block.astype(np.float32, copy=False)

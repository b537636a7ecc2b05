"""The values of a tensor in a GGUF file, a block of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .._core import GgufFile, TensorInfo

BLOCK_VALUES = 1 << 20  # dequantized at a time


class TensorRows:
    """Rows of one tensor as float32. A vector counts as a column: as many rows of one value."""

    def __init__(self, file: GgufFile, tensor: TensorInfo, *, threads: int = 0) -> None:
        """Raises KeyError for a type this build cannot read (see `is_readable`)."""
        from .. import _core

        self._dequantize, self._type, self._threads = _core.dequantize, tensor.type, threads
        n_values = int(np.prod(tensor.shape))
        is_vector = len(tensor.shape) == 1 and not _core.weight_types()[tensor.type]["quantized"]
        self.n_cols = 1 if is_vector else int(tensor.shape[-1])
        self.n_rows = n_values // max(1, self.n_cols)
        self._bytes = file.tensor_bytes(tensor.name).reshape(self.n_rows, -1)

    def at(self, rows: slice | NDArray[np.intp]) -> NDArray[np.float32]:
        """Values of these rows, [rows, n_cols]."""
        data: NDArray[Any] = np.ascontiguousarray(self._bytes[rows])
        return self._dequantize(data, self._type, threads=self._threads)

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """All rows in order, about BLOCK_VALUES at a time."""
        step = max(1, BLOCK_VALUES // max(1, self.n_cols))
        for start in range(0, self.n_rows, step):
            yield self.at(slice(start, min(start + step, self.n_rows)))


def is_readable(tensor: TensorInfo) -> bool:
    """Whether this build can dequantize the tensor's type."""
    from .. import _core

    return tensor.type in _core.weight_types()

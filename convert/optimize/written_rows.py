"""The rows of an output that is complete but for its header, as the values that its blocks stand for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from belle_edge import _core
from belle_edge.convert.quantization import PlannedTensor

_BLOCK_VALUES = 4 << 20  # dequantized at a time


@dataclass(frozen=True)
class WrittenRows:
    """The tensors that were written, by name."""

    planned: Mapping[str, PlannedTensor]
    offsets: Mapping[str, int]  # of each tensor in the data section
    read: Callable[[int, int], bytes]  # (offset in the data section, number of bytes)

    def blocks(self, name: str, *, threads: int = 0) -> Iterator[NDArray[np.float32]]:
        """All rows of a matrix, in the order of the file, [some rows, columns] at a time."""
        tensor = self.planned[name]
        n_rows, n_columns = tensor.shape
        row_bytes = tensor.n_bytes // n_rows
        step = max(1, _BLOCK_VALUES // n_columns)
        for start in range(0, n_rows, step):
            stop = min(start + step, n_rows)
            data = self.read(self.offsets[name] + start * row_bytes, (stop - start) * row_bytes)
            rows = np.frombuffer(data, dtype=np.uint8).reshape(stop - start, row_bytes)
            yield _core.dequantize(rows, tensor.type, threads=threads)

"""Some of the rows of a tensor, as a tensor of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from belle_edge.convert.sources.derived_tensor import DerivedTensor

_WINDOW_BYTES = 16 << 20  # of source rows read at a time


@dataclass(frozen=True)
class RowSubset(DerivedTensor):
    """The rows `indices` of `source`, read in the order of the file: through small gaps, past large ones."""

    indices: NDArray[np.intp]  # source rows, increasing

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.indices.size, *self.source.shape[1:])

    @property
    def n_bytes(self) -> int:
        return self.source.n_bytes // self.source.shape[0] * self.indices.size

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """See SourceTensor. Costs the rows asked for and one window."""
        wanted = self.indices[start:stop]
        block: NDArray[Any] | None = None
        for first, last in self._windows(wanted):
            rows = wanted[first:last]
            window = self.source.rows(int(rows[0]), int(rows[-1]) + 1)
            if block is None:
                block = np.empty((wanted.size, *window.shape[1:]), dtype=window.dtype)
            np.take(window, rows - rows[0], axis=0, out=block[first:last])
        return block if block is not None else self.source.rows(0, 0)

    def _windows(self, wanted: NDArray[np.intp]) -> Iterator[tuple[int, int]]:
        """(first, last) places in `wanted` of rows that lie within one window of the source."""
        row_bytes = max(1, self.source.n_bytes // self.source.shape[0])
        n_rows = max(1, _WINDOW_BYTES // row_bytes)
        first = 0
        while first < wanted.size:
            last = int(np.searchsorted(wanted, wanted[first] + n_rows))
            yield first, last
            first = last

"""Sums of x xᵀ over the rows x of a matrix's input, or of the squares alone.

Each sum is one chain of multiply-adds over the tokens, whatever pieces they come in (`_core.dense`). So the squares
have the same bits either way.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from belle_edge._core import dense
from belle_edge.convert.moments.correlations import pack

_SQUARE = 64  # columns whose products are computed for the sake of the squares among them


class InputSums:
    """Of one input."""

    def __init__(self, n_columns: int, *, full: bool) -> None:
        """full: whether products of different columns are wanted."""
        edges = [0, n_columns] if full else [*range(0, n_columns, _SQUARE), n_columns]
        self._columns = [slice(start, stop) for start, stop in itertools.pairwise(edges)]
        widths = [columns.stop - columns.start for columns in self._columns]
        self._sums = [np.zeros((width, width), dtype=np.float32) for width in widths]
        self._is_full = full
        self.n_tokens = 0

    def add(self, x: NDArray[np.float32], *, threads: int) -> None:
        """Take in the next tokens' inputs [n_tokens, n_columns]."""
        for sums, columns in zip(self._sums, self._columns, strict=True):
            dense.add_moments(sums, np.ascontiguousarray(x[:, columns]), threads=threads)
        self.n_tokens += x.shape[0]

    def squares(self) -> NDArray[np.float32]:
        """Of each column [n_columns]."""
        return np.concatenate([np.diagonal(sums) for sums in self._sums])

    def packed(self) -> NDArray[np.int16] | None:
        """As a file has them (correlations.py); None of squares alone."""
        return pack(self._sums[0]) if self._is_full else None

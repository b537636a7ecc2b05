"""How the rows of one matrix are rounded where it is known what the matrix is multiplied with.

Rounding a row w to q costs (w - q) H (w - q)ᵀ with H the second moments of the input. Where only H's diagonal is known,
an error in each column counts as that column's energy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from belle_edge import _core
from belle_edge.convert.moments import Moments
from belle_edge.convert.sources.source_tensors import to_float32

_MOST_FACTOR_BYTES = 1 << 30  # kept; one of a larger matrix is alone
_FACTOR_BYTES = 8  # for each pair of columns: the moments and their factor


class MatrixRounding(Protocol):
    """Rounds rows of one matrix, each by itself."""

    def round(self, rows: NDArray[Any], type: str) -> NDArray[np.uint8]:
        """Rows [rows, columns] as GGUF blocks of `type`, [rows, bytes per row]."""

    def errors(self, rows: NDArray[Any], data: NDArray[np.uint8], type: str) -> float:
        """What rounding these rows to the blocks `data` costs, all together."""


class FromMoments:
    """With the whole of H: an error in one column is made up for by those that follow."""

    def __init__(self, factor: _core.Rounding, *, effort: str, threads: int) -> None:
        self._factor, self._threads = factor, threads
        self._effort: Literal["fast", "best"] = "best" if effort == "best" else "fast"

    def round(self, rows: NDArray[Any], type: str) -> NDArray[np.uint8]:
        return self._factor.round(rows, type, effort=self._effort, threads=self._threads)

    def errors(self, rows: NDArray[Any], data: NDArray[np.uint8], type: str) -> float:
        return math.fsum(self._factor.errors(rows, data, type).tolist())


class FromEnergies:
    """With H's diagonal: the scales are searched with a weight for each column."""

    def __init__(self, energies: NDArray[np.float32], *, threads: int) -> None:
        self._energies, self._threads = energies, threads

    def round(self, rows: NDArray[Any], type: str) -> NDArray[np.uint8]:
        return _core.quantize(rows, type, importance=self._energies, threads=self._threads)

    def errors(self, rows: NDArray[Any], data: NDArray[np.uint8], type: str) -> float:
        found = _core.dequantize(data, type, threads=self._threads)
        difference = to_float32(rows).astype(np.float64) - found
        return math.fsum((difference * difference * self._energies).ravel().tolist())


class RoundingByInput:
    """What rounds each matrix. Matrices that share an input share its factor; only the last few of these are kept."""

    def __init__(
        self,
        moments: Moments,
        *,
        scales: Mapping[str, NDArray[np.float32]] | None = None,
        effort: str,
        threads: int,
    ) -> None:
        """scales: of the columns of matrices, which moments know by this name: inputs are divided by them."""
        self._moments, self._effort, self._threads = moments, effort, threads
        self._scales = scales or {}
        self._factors: dict[str, _core.Rounding] = {}  # the one used last comes last
        self._sizes: dict[str, int] = {}  # in bytes

    def of(self, name: str) -> MatrixRounding | None:
        """For the matrix that the moments know by this name; None where they say nothing of it."""
        group = self._moments.group(name)
        if group in self._factors:
            self._factors[group] = self._factors.pop(group)
            return self._rounding(self._factors[group])
        energies = self._moments.energies(name)
        if energies is None or not np.any(energies > 0):
            return None
        self._make_room(_FACTOR_BYTES * energies.size**2)
        moments, scales = self._moments.moments(name), self._scales.get(name)
        if moments is None:
            if scales is not None:
                energies = energies / (scales * scales)
            return FromEnergies(energies, threads=self._threads)
        if scales is not None:
            _divide(moments, scales)
        self._factors[group] = _core.Rounding(moments, threads=self._threads)
        self._sizes[group] = _FACTOR_BYTES * energies.size**2
        return self._rounding(self._factors[group])

    def _rounding(self, factor: _core.Rounding) -> FromMoments:
        return FromMoments(factor, effort=self._effort, threads=self._threads)

    def _make_room(self, n_bytes: int) -> None:
        while self._factors and sum(self._sizes.values()) + n_bytes > _MOST_FACTOR_BYTES:
            oldest = next(iter(self._factors))
            del self._factors[oldest], self._sizes[oldest]


def _divide(moments: NDArray[np.float32], scales: NDArray[np.float32]) -> None:
    """The moments of an input whose columns are divided by these, in place; products of scales are exact."""
    for row, scale in zip(moments, scales, strict=True):
        row /= scale * scales


def rounding_bytes(n_columns: int) -> int:
    """Memory that a factor takes while it is made: the moments as they lie and as floats, and the factor."""
    own = _FACTOR_BYTES * n_columns**2
    return max(own, min(_MOST_FACTOR_BYTES, 3 * own)) + (2 + 4) * n_columns**2

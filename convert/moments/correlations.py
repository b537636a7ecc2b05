"""Second moments as a file keeps them: how strongly columns go together, as int16, beside each column's energy.

A matrix of second moments H has H_ij = c_ij sqrt(H_ii H_jj) with |c_ij| ≤ 1. The file has round(32767 c_ij) of the
lower triangle, row by row; H_ii are floats elsewhere. Every operation here is one of IEEE 754, in one order: the same
bytes on every machine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SCALE = 32767.0
_SQUARE = 64  # columns that are mirrored at a time: two such squares fit into the first cache


def n_packed(n_columns: int) -> int:
    """Values of a triangle with its diagonal."""
    return n_columns * (n_columns + 1) // 2


def pack(moments: NDArray[np.float32]) -> NDArray[np.int16]:
    """The triangle of `moments` [n, n], of which only the lower half is read, as int16 [n (n + 1) / 2].

    A column that is always 0 has 0 throughout. The result does not change when all of `moments` is scaled by a power
    of two.
    """
    n_columns = moments.shape[0]
    packed = np.empty(n_packed(n_columns), dtype="<i2")
    energies = np.diagonal(moments).astype(np.float64)
    factors = np.zeros_like(energies)
    np.divide(1.0, np.sqrt(energies), out=factors, where=energies > 0)
    for row in range(n_columns):
        values = moments[row, : row + 1] * factors[: row + 1]
        values *= SCALE * factors[row]
        np.rint(values, out=values)
        np.clip(values, -SCALE, SCALE, out=values)
        packed[n_packed(row) : n_packed(row + 1)] = values
    return packed


def unpack(packed: NDArray[np.int16], energies: NDArray[np.float32]) -> NDArray[np.float32]:
    """The moments [n, n], symmetric, whose diagonal is `energies` [n]."""
    n_columns = energies.size
    moments = np.empty((n_columns, n_columns), dtype=np.float32)
    roots = np.sqrt(energies.astype(np.float64))
    values = np.empty(n_columns, dtype=np.float64)
    for row in range(n_columns):
        part = values[: row + 1]
        part[:] = packed[n_packed(row) : n_packed(row + 1)]
        part *= roots[: row + 1]
        part *= roots[row] / SCALE
        moments[row, : row + 1] = part
    np.fill_diagonal(moments, energies)
    _mirror(moments)
    return moments


def _mirror(moments: NDArray[np.float32]) -> None:
    """Copy the lower triangle to the upper one, a square at a time: a transposed row misses every cache."""
    n_columns = moments.shape[0]
    for row in range(0, n_columns, _SQUARE):
        rows = slice(row, row + _SQUARE)
        for column in range(0, row, _SQUARE):
            columns = slice(column, column + _SQUARE)
            moments[columns, rows] = moments[rows, columns].T
        diagonal = moments[rows, rows]
        upper = np.triu_indices(diagonal.shape[0], 1)
        diagonal[upper] = diagonal.T[upper]

"""What rows give as outputs on average, and which rows of a matrix stand for all of them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from belle_edge._core import dense
from belle_edge.convert.architectures.mapped_model import MappedTensor
from belle_edge.convert.moments import Moments
from belle_edge.convert.sources.source_tensors import to_float32

_SAMPLED_ROWS, _NEIGHBOURS = 64, 8  # rows of a matrix, and how many of them lie side by side


def output_energy(
    moments: Moments, name: str | None, *, threads: int
) -> Callable[[NDArray[np.float32]], float]:
    """What gives the energy of some rows' outputs, for the input that moments know by this name."""
    full = moments.moments(name) if name is not None else None
    energies = moments.energies(name) if name is not None else None
    if full is not None:
        return lambda rows: _dot(rows, dense.linear(rows, full, threads=threads))
    if energies is not None:
        return lambda rows: _dot(rows, rows * energies)
    return lambda rows: _dot(rows, rows)


def sampled_rows(tensor: MappedTensor) -> NDArray[np.float32]:
    """Some rows, evenly spread: short runs of neighbours in the order of the file, whatever order the source has."""
    places = sampled_places(tensor.shape[0])
    if tensor.row_order is None:
        return np.concatenate([to_float32(tensor.source.rows(place.start, place.stop)) for place in places])
    wanted = np.concatenate([tensor.row_order[place] for place in places])
    ordered = np.sort(wanted)
    runs = np.split(ordered, np.flatnonzero(np.diff(ordered) != 1) + 1)
    rows = np.concatenate([to_float32(tensor.source.rows(int(run[0]), int(run[-1]) + 1)) for run in runs])
    return rows[np.searchsorted(ordered, wanted)]


def sampled_places(n_rows: int) -> list[slice]:
    """Where these rows are, in a matrix of so many."""
    if n_rows <= _SAMPLED_ROWS:
        return [slice(0, n_rows)]
    n_runs = _SAMPLED_ROWS // _NEIGHBOURS
    starts = [run * (n_rows - _NEIGHBOURS) // (n_runs - 1) for run in range(n_runs)]
    return [slice(start, start + _NEIGHBOURS) for start in starts]


def _dot(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """The sum of products, rounded once: the same on every machine."""
    return math.fsum((first.astype(np.float64) * second).ravel().tolist())

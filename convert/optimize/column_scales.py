"""The scales of columns with which rounding costs least.

A block shares one step. Columns with loud inputs need a finer step than the others, and get it where they are made
larger. How much is tried out on some rows: scales are powers of what an input has on average, alone or relative to the
weights that it is multiplied with.

Files must have the same bytes on every machine. So scales are made of square roots, products and quotients in double
precision, sums have one order, and a scale has 8 significant bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from belle_edge import _core
from belle_edge.convert.moments import Moments
from belle_edge.convert.optimize.column_groups import ColumnGroup, column_groups
from belle_edge.convert.optimize.matrix_names import names_among, quantized_matrices
from belle_edge.convert.optimize.output_energy import output_energy, sampled_rows
from belle_edge.convert.optimize.scaled_tensors import ColumnScales, Floats
from belle_edge.convert.optimize.stage_progress import StageProgress
from belle_edge.convert.quantization import PlannedTensor
from belle_edge.convert.reference.model_shape import ModelShape

SIGNIFICANT_BITS, MOST_POWER = 8, 8  # a scale is between 2^-MOST_POWER and 2^MOST_POWER
_TRIED_ROWS = 48  # of a group
_LEAST_GAIN = 0.03  # of the error, below which columns stay as they are: feedback evens out most of less


@dataclass(frozen=True)
class _TriedRows:
    """Rows of a matrix, and the type that they get."""

    rows: Floats
    type: str


def chosen_scales(
    planned: Sequence[PlannedTensor],
    moments: Moments,
    shape: ModelShape,
    *,
    progress: StageProgress,
    threads: int,
) -> ColumnScales:
    """The scales of every input whose matrices are all rounded with moments, where something carries them."""
    tensors = {tensor.name: tensor for tensor in planned}
    names, rounded = names_among(moments, planned), {tensor.name for tensor in quantized_matrices(planned)}
    groups: dict[str, list[ColumnGroup]] = {}
    for group in column_groups(shape, tensors):
        carries = all(
            len(tensors[carrier.name].shape) == 1 or carrier.name in rounded for carrier in group.carriers
        )
        if carries and all(name in names for name in group.matrices):
            groups.setdefault(group.matrices[0].rpartition(".")[0].rpartition(".")[0], []).append(group)
    found: list[tuple[ColumnGroup, Floats]] = []
    own = groups.pop("", [])
    for layer in progress.layers(shape.n_layers, [tensor.tensor for tensor in planned]):
        found += _of_groups(groups.get(f"blk.{layer}", []), tensors, names, moments, threads=threads)
    found += _of_groups(own, tensors, names, moments, threads=threads)
    return ColumnScales.of_groups(found, {name: tensor.shape[0] for name, tensor in tensors.items()})


def _of_groups(
    groups: Sequence[ColumnGroup],
    tensors: Mapping[str, PlannedTensor],
    names: Mapping[str, str],
    moments: Moments,
    *,
    threads: int,
) -> Iterator[tuple[ColumnGroup, Floats]]:
    for group in groups:
        matrices = [tensors[name] for name in group.matrices]
        scales = _of_group(group, matrices, moments, names[group.matrices[0]], threads=threads)
        if scales is not None:
            yield group, scales


def _of_group(
    group: ColumnGroup, matrices: Sequence[PlannedTensor], moments: Moments, name: str, *, threads: int
) -> Floats | None:
    """The scale of each channel; None where none are clearly better than no scales."""
    energies = moments.energies(name)
    if energies is None or not np.any(energies > 0):
        return None
    energy = output_energy(moments, name, threads=threads)
    samples = [sampled_rows(matrix.tensor) for matrix in matrices]
    n_tried = max(1, _TRIED_ROWS // len(samples))
    tried = [
        _TriedRows(np.ascontiguousarray(rows[:: max(1, len(rows) // n_tried)]), matrix.type)
        for rows, matrix in zip(samples, matrices, strict=True)
    ]

    def error(scales: Floats | None) -> float:
        return sum(energy(_differences(part, energies, scales, threads=threads)) for part in tried)

    best, least = None, error(None) * (1 - _LEAST_GAIN)
    for scales in candidates(_of_channels(energies, group), _of_channels(mean_magnitudes(samples), group)):
        found = error(scales[group.channels])
        if found < least:
            best, least = scales, found
    return best


def _differences(part: _TriedRows, energies: Floats, scales: Floats | None, *, threads: int) -> Floats:
    """Rows less what becomes of them when they are scaled, rounded, and divided by the scales again."""
    rows = part.rows if scales is None else part.rows * scales
    importance = energies if scales is None else energies / (scales * scales)
    data = _core.quantize(rows, part.type, importance=importance, threads=threads)
    difference = rows - _core.dequantize(data, part.type, threads=threads)
    return difference if scales is None else difference / scales


def mean_magnitudes(samples: Sequence[Floats]) -> NDArray[np.float64]:
    """Of each column, over all rows of the samples, one after the other."""
    total, n_rows = np.zeros(samples[0].shape[1]), 0
    for rows in samples:
        for row in rows:
            total += np.abs(row)
        n_rows += len(rows)
    return total / max(1, n_rows)


def _of_channels(values: NDArray[np.floating], group: ColumnGroup) -> NDArray[np.float64]:
    """The mean over the columns of each channel; they are added one after the other."""
    n_columns = np.bincount(group.channels)
    sums = np.zeros(group.n_channels)
    np.add.at(sums, group.channels, values.astype(np.float64))
    return sums / n_columns


def candidates(energies: NDArray[np.float64], magnitudes: NDArray[np.float64]) -> Iterator[Floats]:
    """Scales to try. energies: mean square of each channel's input; magnitudes: of its weights, on average."""
    loud = np.sqrt(energies)
    is_used = (loud > 0) & (magnitudes > 0)
    relative = np.divide(loud, magnitudes, out=np.zeros_like(loud), where=is_used)
    for base in (relative, loud):
        half = np.sqrt(base)
        quarter = np.sqrt(half)
        for power in (quarter, half, half * quarter):
            yield rounded_scales(power, is_used)


def rounded_scales(values: NDArray[np.float64], is_used: NDArray[np.bool_]) -> Floats:
    """Values about 1, of few significant bits; 1 where nothing is used."""
    scales = np.ones(values.size)
    if is_used.any():
        exponents = np.frexp(values[is_used])[1]
        middle = int(exponents.sum()) // exponents.size
        largest = 2.0**MOST_POWER
        scales[is_used] = np.clip(np.ldexp(values[is_used], -middle), 1 / largest, largest)
    return significant(scales).astype(np.float32)


def significant(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rounded to the significant bits of a scale."""
    parts, exponents = np.frexp(values)
    steps = 2.0**SIGNIFICANT_BITS
    return np.asarray(np.ldexp(np.rint(parts * steps) / steps, exponents))

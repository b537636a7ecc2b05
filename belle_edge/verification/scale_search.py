"""The scales that an optimized file gave to columns, found by looking at the file and its source.

Matrices of such a file have columns that are multiplied, and what makes their input is divided. Behind a norm, and
where there is a bias, the scale is known exactly: it is the source's value over the file's. Elsewhere it is estimated
from some rows of the matrices. A tensor is then compared with its source as scaled; what does not fit together is found
as an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .tensor_rows import TensorRows, is_readable

if TYPE_CHECKING:
    from .._core import GgufFile, TensorInfo
    from ..convert.architectures.mapped_model import MappedModel, MappedTensor
    from ..convert.optimize.column_groups import ColumnGroup
    from ..convert.optimize.scaled_tensors import ColumnScales

_NEAR = 1 / 8  # estimates that all lie so near to 1 are of columns that were not scaled


def found_scales(file: GgufFile, model: MappedModel, *, threads: int = 0) -> ColumnScales:
    """The scales of a file against its source; none where the file does not say that it has some."""
    from ..convert.optimize.column_groups import column_groups
    from ..convert.optimize.receipt import COLUMN_SCALES
    from ..convert.optimize.scaled_tensors import ColumnScales
    from ..convert.reference.model_shape import ModelShape

    if COLUMN_SCALES not in file:
        return ColumnScales()
    looking = _Looking(file, {tensor.name: tensor for tensor in model.tensors}, threads)
    n_rows = {name: tensor.shape[0] for name, tensor in looking.pairs.items()}
    found = [
        (group, scales)
        for group in column_groups(ModelShape.of(model.metadata), n_rows)
        if looking.has_all(group) and (scales := looking.scales(group)) is not None
    ]
    return ColumnScales.of_groups(found, n_rows)


class _Looking:
    """The tensors that both have."""

    def __init__(self, file: GgufFile, source: Mapping[str, MappedTensor], threads: int) -> None:
        self._file, self._threads = file, threads
        self._stored: dict[str, TensorInfo] = {tensor.name: tensor for tensor in file.tensors()}
        self.pairs = {
            name: tensor
            for name, tensor in source.items()
            if name in self._stored
            and is_readable(self._stored[name])
            and self._stored[name].shape == tensor.shape
        }

    def has_all(self, group: ColumnGroup) -> bool:
        """Whether the group's columns can have been scaled: all of its matrices were rounded."""
        carriers = [carrier.name for carrier in group.carriers]
        matrices = [
            *group.matrices,
            *(name for name in carriers if name in self.pairs and len(self.pairs[name].shape) == 2),
        ]
        return all(name in self.pairs for name in (*group.matrices, *carriers)) and all(
            self._is_rounded(name) for name in matrices
        )

    def scales(self, group: ColumnGroup) -> NDArray[np.float32] | None:
        """Of each channel; None where all are 1."""
        from ..convert.optimize.column_scales import MOST_POWER, significant

        found, is_exact = self._of_vectors(group)
        if len(self.pairs[group.carriers[0].name].shape) == 2:
            found = np.where(is_exact, found, self._of_columns(group))
            if np.all(np.abs(found - 1) < _NEAR):
                return None
        found = significant(found)
        largest = 2.0**MOST_POWER
        is_possible = np.isfinite(found) & (found >= 1 / largest) & (found <= largest)
        scales = np.where(is_possible, found, 1.0).astype(np.float32)
        return scales if np.any(scales != 1) else None

    def _is_rounded(self, name: str) -> bool:
        from .._core import weight_types
        from ..convert.sources.source_tensors import BlockTensor

        source, kind = self.pairs[name].source, self._stored[name].type
        keeps = isinstance(source, BlockTensor) and source.block_type == kind
        return bool(weight_types()[kind]["quantized"]) and not keeps

    def _of_vectors(self, group: ColumnGroup) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """The source's value over the file's, and where there is one: of a weight first, else of a bias."""
        found, is_exact = np.ones(group.n_channels), np.zeros(group.n_channels, dtype=bool)
        for carrier in group.carriers:
            tensor = self.pairs[carrier.name]
            if len(tensor.shape) == 1:
                source, stored = self._values(tensor)
                part = slice(carrier.start, carrier.start + group.n_channels)
                is_new = ~is_exact & (source[part] != 0) & (stored[part] != 0)
                found[is_new] = source[part][is_new] / stored[part][is_new]
                is_exact |= is_new
        return found, is_exact

    def _values(self, tensor: MappedTensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of a vector, in the file's order: the source's and the file's."""
        from ..convert.sources.source_tensors import to_float32

        source = to_float32(tensor.source.rows(0, tensor.shape[0])).astype(np.float64)
        stored = self._rows(tensor.name, slice(0, None))[:, 0].astype(np.float64)
        return source if tensor.row_order is None else source[tensor.row_order], stored

    def _of_columns(self, group: ColumnGroup) -> NDArray[np.float64]:
        """The number with which the source's columns come nearest to the file's, over some rows."""
        from ..convert.optimize.output_energy import sampled_places
        from ..convert.sources.source_tensors import to_float32

        products, squares = np.zeros(group.n_channels), np.zeros(group.n_channels)
        for name in group.matrices:
            tensor = self.pairs[name]
            order = None if tensor.row_order is None else np.argsort(tensor.row_order)
            for place in sampled_places(tensor.shape[0]):
                source = to_float32(tensor.source.rows(place.start, place.stop)).astype(np.float64)
                stored = self._rows(name, place if order is None else order[place])
                np.add.at(products, group.channels, (source * stored).sum(axis=0))
                np.add.at(squares, group.channels, (source * source).sum(axis=0))
        return np.divide(products, squares, out=np.ones_like(products), where=squares > 0)

    def _rows(self, name: str, rows: slice | NDArray[np.intp]) -> NDArray[np.float32]:
        return TensorRows(self._file, self._stored[name], threads=self._threads).at(rows)

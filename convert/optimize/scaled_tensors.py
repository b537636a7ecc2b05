"""Tensors with scaled columns and divided rows: another set of weights that gives the same answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from belle_edge.convert.architectures.mapped_model import MappedTensor
from belle_edge.convert.optimize.column_groups import ColumnGroup
from belle_edge.convert.quantization import PlannedTensor
from belle_edge.convert.sources.derived_tensor import DerivedTensor
from belle_edge.convert.sources.source_tensors import to_float32

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class ColumnScales:
    """What becomes of the tensors of a model."""

    columns: Mapping[str, Floats] = field(
        default_factory=dict
    )  # matrix -> what each column is multiplied with
    rows: Mapping[str, Floats] = field(
        default_factory=dict
    )  # what each row, in the file's order, is divided by
    n_inputs: int = 0  # that have scales

    @classmethod
    def of_groups(
        cls, groups: Iterable[tuple[ColumnGroup, Floats]], n_rows: Mapping[str, int]
    ) -> ColumnScales:
        """groups: each with the scale of every channel. n_rows: of each tensor."""
        columns: dict[str, Floats] = {}
        rows: dict[str, Floats] = {}
        n_inputs = 0
        for group, scales in groups:
            n_inputs += 1
            columns |= dict.fromkeys(group.matrices, scales[group.channels])
            for carrier in group.carriers:
                divisors = np.ones(n_rows[carrier.name], np.float32)
                divisors[carrier.start : carrier.start + scales.size] = scales
                rows[carrier.name] = divisors
        return cls(columns, rows, n_inputs)

    def changes(self, name: str) -> bool:
        """Whether a tensor has other values."""
        return name in self.columns or name in self.rows

    def applied(self, tensor: MappedTensor) -> MappedTensor:
        """The tensor with its scales."""
        if not self.changes(tensor.name):
            return tensor
        divisors = self.rows.get(tensor.name)
        if divisors is not None and tensor.row_order is not None:
            ordered = np.empty_like(divisors)
            ordered[tensor.row_order] = divisors
            divisors = ordered
        return replace(tensor, source=ScaledTensor(tensor.source, self.columns.get(tensor.name), divisors))

    def planned(self, planned: Iterable[PlannedTensor]) -> list[PlannedTensor]:
        """The same plan for the scaled tensors."""
        return [replace(tensor, tensor=self.applied(tensor.tensor)) for tensor in planned]


@dataclass(frozen=True)
class ScaledTensor(DerivedTensor):
    """A source's tensor, scaled as it is read; it is in no type's blocks any more."""

    columns: Floats | None
    divisors: Floats | None  # of rows, in the order of the source

    @property
    def shape(self) -> tuple[int, ...]:
        return self.source.shape

    @property
    def n_bytes(self) -> int:
        return self.source.n_bytes

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """See SourceTensor."""
        rows = to_float32(self.source.rows(start, stop))
        divisors = None if self.divisors is None else self.divisors[start:stop]
        return scaled(rows, self.columns, divisors)


def scaled(rows: Floats, columns: Floats | None, divisors: Floats | None) -> Floats:
    """Rows [n, columns], or a vector [n], multiplied by column and divided by row."""
    if columns is not None:
        rows = rows * columns
    if divisors is not None:
        rows = rows / (divisors[:, np.newaxis] if rows.ndim == 2 else divisors)
    return rows

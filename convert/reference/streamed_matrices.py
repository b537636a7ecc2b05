"""The tensors of a model as products that stream a matrix' rows: a few MB of weights are in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from belle_edge._core import dense
from belle_edge.convert.architectures.mapped_model import MappedTensor
from belle_edge.convert.quantization import row_blocks
from belle_edge.convert.sources.source_tensors import to_float32

Floats = NDArray[np.float32]
# The rows of a matrix in place of the source's, in the order of the GGUF, some at a time: float32, float16, or bfloat16
# bits as uint16.
Rows = Callable[[MappedTensor], Iterator[NDArray[Any]]]
Places = slice | NDArray[np.intp]  # of rows in the GGUF's order


class StreamedMatrices:
    """Tensors by their GGUF names."""

    def __init__(self, tensors: Mapping[str, MappedTensor], *, threads: int = 0) -> None:
        self.tensors, self.threads = tensors, threads

    def vector(self, name: str) -> Floats:
        """A norm's weights or a bias, in the GGUF's order."""
        tensor = self.tensors[name]
        values = to_float32(tensor.source.rows(0, tensor.shape[0]))
        return values if tensor.row_order is None else values[tensor.row_order]

    def blocks(self, name: str, rows: Rows | None) -> Iterator[tuple[Places, NDArray[Any]]]:
        """All rows of a matrix, some at a time, each block with its places. ValueError where `rows` gives too few."""
        tensor = self.tensors[name]
        if rows is not None:
            yield from _given(tensor, rows)
            return
        places = _places(tensor)
        for start, stop in row_blocks(tensor):
            place = slice(start, stop) if places is None else places[start:stop]
            yield place, tensor.source.rows(start, stop)

    def outputs(self, x: Floats, part: str, rows: Rows | None) -> Iterator[tuple[Places, Floats]]:
        """x [n, k] by the rows of `part`.weight, with its bias where there is one: (places, [n, rows of a block])."""
        bias = self.vector(f"{part}.bias") if f"{part}.bias" in self.tensors else None
        for places, block in self.blocks(f"{part}.weight", rows):
            y = dense.linear(x, block, threads=self.threads)
            if bias is not None:
                y += bias[places]
            yield places, y

    def product(self, x: Floats, part: str, rows: Rows | None = None) -> Floats:
        """x [n, k] -> [n, rows of the matrix]"""
        y = np.empty((len(x), self.tensors[f"{part}.weight"].shape[0]), np.float32)
        for places, outputs in self.outputs(x, part, rows):
            y[:, places] = outputs
        return y

    def add_product(self, hidden: Floats, x: Floats, part: str, rows: Rows | None = None) -> None:
        """hidden [n, rows of the matrix] += the product, in place."""
        for places, outputs in self.outputs(x, part, rows):
            hidden[:, places] += outputs

    def gather(self, name: str, ids: NDArray[np.intp], rows: Rows | None) -> Floats:
        """Rows of a matrix -> [len(ids), columns]; blocks without any of them are not read."""
        tensor = self.tensors[name]
        found = np.empty((len(ids), tensor.shape[1]), np.float32)
        for places, block in self._blocks_with(name, ids, rows):
            row_of = np.full(tensor.shape[0], -1, np.intp)
            row_of[places] = np.arange(len(block))
            chosen = row_of[ids]
            found[chosen >= 0] = to_float32(block[chosen[chosen >= 0]])
        return found

    def _blocks_with(
        self, name: str, ids: NDArray[np.intp], rows: Rows | None
    ) -> Iterator[tuple[Places, NDArray[Any]]]:
        tensor = self.tensors[name]
        if rows is not None or tensor.row_order is not None:
            yield from self.blocks(name, rows)
            return
        for start, stop in row_blocks(tensor):
            wanted = ids[(ids >= start) & (ids < stop)]
            if wanted.size:
                first, last = int(wanted.min()), int(wanted.max()) + 1
                yield slice(first, last), tensor.source.rows(first, last)


def _places(tensor: MappedTensor) -> NDArray[np.intp] | None:
    """Of each row of the source; None: as they are."""
    if tensor.row_order is None:
        return None
    places = np.empty_like(tensor.row_order)
    places[tensor.row_order] = np.arange(places.size, dtype=places.dtype)
    return places


def _given(tensor: MappedTensor, rows: Rows) -> Iterator[tuple[Places, NDArray[Any]]]:
    start = 0
    for block in rows(tensor):
        yield slice(start, start + len(block)), block
        start += len(block)
    if start != tensor.shape[0]:
        raise ValueError(f"[rows] {tensor.name}: expected {tensor.shape[0]} rows, got {start}")

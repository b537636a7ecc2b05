"""The rows of a matrix as the values that a type's blocks stand for, in the order of the file."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from belle_edge import _core
from belle_edge.convert.architectures.mapped_model import MappedTensor
from belle_edge.convert.quantization import Rounding, row_blocks
from belle_edge.convert.sources.source_tensors import to_float32


def rounded_rows(
    tensor: MappedTensor, type: str, rounding: Rounding, *, threads: int
) -> Iterator[NDArray[np.float32]]:
    """Rows after `rounding` to `type`, [some rows, columns] at a time."""

    def expanded(rows: NDArray[np.generic]) -> NDArray[np.float32]:
        data = rounding(np.ascontiguousarray(rows))
        return _core.dequantize(data, type, threads=threads)

    return _in_file_order(tensor, (expanded(rows) for rows in _source_blocks(tensor)))


def source_rows(tensor: MappedTensor) -> Iterator[NDArray[np.float32]]:
    """The source's own values."""
    return _in_file_order(tensor, (to_float32(rows) for rows in _source_blocks(tensor)))


def _source_blocks(tensor: MappedTensor) -> Iterator[NDArray[np.generic]]:
    for start, stop in row_blocks(tensor):
        yield tensor.source.rows(start, stop)


def _in_file_order(
    tensor: MappedTensor, blocks: Iterator[NDArray[np.float32]]
) -> Iterator[NDArray[np.float32]]:
    """The same rows; those that the file has in another order all together."""
    if tensor.row_order is None:
        yield from blocks
    else:
        yield np.concatenate(list(blocks))[tensor.row_order]

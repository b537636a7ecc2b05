"""The order in which a checkpoint is read: each file once from front to back, wherever the output wants its tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from belle_edge.convert.quantization import PlannedTensor, read_rows, row_blocks
from belle_edge.convert.sources.byte_source import WeightFile


class Done(Protocol):
    """What need not be read again, by name; a Journal knows it."""

    @property
    def tensors(self) -> set[str]: ...
    @property
    def files(self) -> set[str]: ...


@dataclass(frozen=True)
class FilePass:
    """One file read once, and the tensors to take from it in the order of their places; no file: tensors in memory."""

    source: WeightFile | None
    tensors: list[PlannedTensor]


@dataclass(frozen=True)
class FileRead:
    """A file has been read to its end, and its hash, where it has one, is right."""

    name: str


@dataclass
class SourceBlock:
    """Rows start … stop of a tensor, as they lie in the source."""

    tensor: PlannedTensor
    start: int
    stop: int
    rows: NDArray[Any]
    is_hashed: bool  # it lies in a file whose hash is compared when all of it has been read
    _reordered: _ReorderedTensor | None = field(default=None, repr=False)

    @property
    def is_last(self) -> bool:
        return self.stop == self.tensor.shape[0]

    @property
    def n_source_bytes(self) -> int:
        n_bytes, n_rows = self.tensor.tensor.source.n_bytes, max(1, self.tensor.shape[0])
        return n_bytes * self.stop // n_rows - n_bytes * self.start // n_rows

    def placed(self, encoded: NDArray[np.uint8]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """(offset in the tensor, bytes) to write now, given this block's bytes [rows, bytes per row].

        Rows that the output wants in another order are gathered until the tensor is complete.
        """
        if self._reordered is None:
            yield self.start * encoded.shape[1], encoded.reshape(-1)
            return
        self._reordered.add(self.start, self.stop, encoded)
        if self.is_last:
            yield 0, self._reordered.take()


class _ReorderedTensor:
    """The encoded rows of one tensor, each put to the place that the output has for it."""

    def __init__(self, row_order: NDArray[np.intp]) -> None:
        self._target = np.empty_like(row_order)  # row of the output of each source row
        self._target[row_order] = np.arange(row_order.size, dtype=row_order.dtype)
        self._rows: NDArray[np.uint8] | None = None

    def add(self, start: int, stop: int, encoded: NDArray[np.uint8]) -> None:
        if self._rows is None:
            self._rows = np.empty((self._target.size, encoded.shape[1]), dtype=np.uint8)
        self._rows[self._target[start:stop]] = encoded

    def take(self) -> NDArray[np.uint8]:
        assert self._rows is not None
        rows, self._rows = self._rows, None
        return rows.reshape(-1)


def reading_order(
    sources: Sequence[WeightFile], planned: Sequence[PlannedTensor], done: Done
) -> list[FilePass]:
    """The passes that are still to be made, over what is still to be written."""
    waiting = [tensor for tensor in planned if tensor.name not in done.tensors]
    by_file: dict[str, list[PlannedTensor]] = {}
    for tensor in sorted(waiting, key=lambda tensor: tensor.tensor.source.offset):
        by_file.setdefault(tensor.tensor.source.file, []).append(tensor)
    passes = []
    for source in sources:
        tensors = by_file.pop(source.name, [])
        if tensors or source.name not in done.files:
            passes.append(FilePass(source, tensors))
    return passes + [FilePass(None, tensors) for tensors in by_file.values()]


def source_blocks(passes: Sequence[FilePass]) -> Iterator[SourceBlock | FileRead]:
    """Every block of every tensor, a FileRead after each file. Raises ConversionError for a file with a wrong hash."""
    for file_pass in passes:
        is_hashed = file_pass.source is not None and file_pass.source.is_hashed
        if file_pass.source is not None:
            file_pass.source.begin_pass()
        for tensor in file_pass.tensors:
            order = tensor.tensor.row_order
            reordered = _ReorderedTensor(order) if order is not None else None
            for start, stop in row_blocks(tensor.tensor):
                yield SourceBlock(tensor, start, stop, read_rows(tensor, start, stop), is_hashed, reordered)
        if file_pass.source is not None:
            file_pass.source.end_pass()
            yield FileRead(file_pass.source.name)

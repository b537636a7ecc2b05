"""A tensor that training had split over several files, read as one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from belle_edge.convert.sources.source_tensors import SourceTensor
from belle_edge.errors import ConversionError


@dataclass(frozen=True, eq=False)
class JoinedTensor:
    """Parts that follow one another along an axis.

    axis: 0 for rows, 1 for columns. hf_rows: see rotary_rows.hf_rows.
    """

    name: str
    parts: tuple[SourceTensor, ...]
    axis: int
    hf_rows: NDArray[np.intp] | None = None

    def __post_init__(self) -> None:
        first = self.parts[0]
        for part in self.parts[1:]:
            if part.dtype != first.dtype or len(part.shape) != len(first.shape):
                raise ConversionError(
                    f"[{part.file}] {part.name}: expected {first.dtype} {list(first.shape)} as in {first.file},"
                    f" got {part.dtype} {list(part.shape)}"
                )
            other = [length for axis, length in enumerate(part.shape) if axis != self.axis]
            if other != [length for axis, length in enumerate(first.shape) if axis != self.axis]:
                raise ConversionError(
                    f"[{part.file}] {part.name}: {list(part.shape)} does not continue {list(first.shape)} of"
                    f" {first.file}; are these files of one model?"
                )

    @property
    def file(self) -> str:
        return self.parts[0].file

    @property
    def offset(self) -> int:
        return self.parts[0].offset

    @property
    def dtype(self) -> str:
        return self.parts[0].dtype

    @property
    def shape(self) -> tuple[int, ...]:
        shape = list(self.parts[0].shape)
        shape[self.axis] = sum(part.shape[self.axis] for part in self.parts)
        return tuple(shape)

    @property
    def n_bytes(self) -> int:
        n_values = math.prod(self.parts[0].shape)
        return self.parts[0].n_bytes * math.prod(self.shape) // max(1, n_values)

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """See SourceTensor."""
        if self.axis == 1:
            blocks = [part.rows(start, stop) for part in self.parts]
        else:
            blocks = list(self._overlaps(start, stop))
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=self.axis)

    def _overlaps(self, start: int, stop: int) -> list[NDArray[Any]]:
        """What each part has of rows start … stop."""
        blocks, first = [], 0
        for part in self.parts:
            begin, end = max(start, first), min(stop, first + part.shape[0])
            if begin < end:
                blocks.append(part.rows(begin - first, end - first))
            first += part.shape[0]
        return blocks

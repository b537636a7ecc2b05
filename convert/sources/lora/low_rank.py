"""A weight with what adapters add to it: W + weight · scale · B·A, block of rows by block of rows, in float32.

LoRA: Hu et al. 2021, https://arxiv.org/abs/2106.09685, section 4.1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from belle_edge.convert.sources.lora.exact_product import exact_product
from belle_edge.convert.sources.rotary_rows import hf_rows
from belle_edge.convert.sources.source_tensors import SourceTensor, to_float32
from belle_edge.errors import ConversionError

Rows = slice | NDArray[np.intp]
_CHECKED_ROWS = 1024  # rows looked at at a time for values other than zero


class Delta(Protocol):
    """What one adapter adds to one matrix."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    def rows(self, rows: Rows) -> NDArray[np.float32]:
        """Some of its rows, in an array of their own. ConversionError for values that are not finite."""

    def is_zero(self) -> bool:
        """Whether it adds nothing."""


@dataclass(frozen=True, eq=False)
class LowRank:
    """scale · B·A, or its transpose where the adapter counts inputs as outputs, as those of embeddings do."""

    a: SourceTensor  # [r, n_in]
    b: SourceTensor  # [n_out, r]
    scale: float
    is_transposed: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        shape = (self.b.shape[0], self.a.shape[1])
        return shape[::-1] if self.is_transposed else shape

    def rows(self, rows: Rows) -> NDArray[np.float32]:
        """See Delta."""
        if self.is_transposed:
            columns = _finite(self.a, self.a.rows(0, self.a.shape[0])[:, rows])
            return exact_product(columns.T * np.float32(self.scale), _whole(self.b).T)
        return exact_product(_some(self.b, rows) * np.float32(self.scale), _whole(self.a))

    def is_zero(self) -> bool:
        """See Delta."""
        return self.scale == 0 or _is_zero(self.b) or _is_zero(self.a)


@dataclass(frozen=True, eq=False)
class GroupedLowRank:
    """What a MergedLinear of PEFT up to 0.2 adds to a fused matrix: some of its equal parts have a LoRA each.

    A has the factors of the enabled parts below one another; so has B, as a convolution with a group per part.
    """

    a: SourceTensor  # [n_enabled * r, n_in]
    b: SourceTensor  # [n_enabled * n_out / n_parts, r], with or without a last dimension of 1
    scale: float
    enabled: tuple[bool, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.b.shape[0] // sum(self.enabled) * len(self.enabled), self.a.shape[1])

    def rows(self, rows: Rows) -> NDArray[np.float32]:
        """See Delta."""
        numbers = np.arange(self.shape[0], dtype=np.intp)[rows]
        part_rows, rank = self.shape[0] // len(self.enabled), self.b.shape[1]
        a, b = _whole(self.a), _whole(self.b).reshape(-1, rank)
        delta = np.zeros((numbers.size, self.shape[1]), dtype=np.float32)
        parts = [part for part, is_enabled in enumerate(self.enabled) if is_enabled]
        for group, part in enumerate(parts):
            here = numbers // part_rows == part
            chosen = b[group * part_rows + numbers[here] % part_rows]
            delta[here] = exact_product(chosen * np.float32(self.scale), a[group * rank : (group + 1) * rank])
        return delta

    def is_zero(self) -> bool:
        """See Delta."""
        return self.scale == 0 or _is_zero(self.b) or _is_zero(self.a)


@dataclass(frozen=True, eq=False)
class MergedTensor:
    """A matrix of the base model and what adapters add to it. Its values are float32, whatever the base's are."""

    base: SourceTensor
    deltas: Sequence[Delta]

    @property
    def name(self) -> str:
        return self.base.name

    @property
    def file(self) -> str:
        return self.base.file

    @property
    def offset(self) -> int:
        return self.base.offset

    @property
    def dtype(self) -> str:
        return "f32"

    @property
    def shape(self) -> tuple[int, ...]:
        return self.base.shape

    @property
    def n_bytes(self) -> int:
        return math.prod(self.shape) * 4

    @property
    def hf_rows(self) -> NDArray[np.intp] | None:
        """As the base's: adapters have Hugging Face's order."""
        return hf_rows(self.base)

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """See SourceTensor."""
        order = self.hf_rows
        merged = to_float32(self.base.rows(start, stop))
        for delta in self.deltas:
            block = delta.rows(slice(start, stop) if order is None else order[start:stop])
            block += merged
            merged = block
        return merged


def _whole(tensor: SourceTensor) -> NDArray[np.float32]:
    return _finite(tensor, tensor.rows(0, tensor.shape[0]))


def _some(tensor: SourceTensor, rows: Rows) -> NDArray[np.float32]:
    if isinstance(rows, slice):
        return _finite(tensor, tensor.rows(rows.start, rows.stop))
    return _finite(tensor, tensor.rows(0, tensor.shape[0])[rows])


def _finite(tensor: SourceTensor, values: NDArray[Any]) -> NDArray[np.float32]:
    block = to_float32(values)
    if not np.isfinite(block).all():
        raise ConversionError(
            f"[{tensor.file}] {tensor.name}: expected finite values, got NaN or infinity; the adapter is damaged, or"
            " its training diverged"
        )
    return block


def _is_zero(tensor: SourceTensor) -> bool:
    starts = range(0, tensor.shape[0], _CHECKED_ROWS)
    blocks = (tensor.rows(start, min(start + _CHECKED_ROWS, tensor.shape[0])) for start in starts)
    return not any(np.any(to_float32(block)) for block in blocks)

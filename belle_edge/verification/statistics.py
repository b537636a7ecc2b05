"""The values of each tensor of a GGUF file in a few numbers, and which of them look wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .tensor_rows import TensorRows, is_readable

if TYPE_CHECKING:
    from .._core import GgufFile, TensorInfo


@dataclass(frozen=True)
class TensorStatistics:
    """Over the finite values of one tensor; all None where its type cannot be read or nothing is finite."""

    name: str
    type: str
    shape: tuple[int, ...]
    minimum: float | None
    maximum: float | None
    mean: float | None
    rms: float | None
    zeros: float | None  # share of values that are exactly zero
    n_not_finite: int
    suspicion: str | None  # "all zero", "constant", "not finite", "type … is not read"

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "shape": list(self.shape)}


@dataclass
class _Sums:
    n_values: int = 0
    n_finite: int = 0
    n_zeros: int = 0
    total: float = 0.0
    squares: float = 0.0
    minimum: float = math.inf
    maximum: float = -math.inf

    def add(self, block: NDArray[np.float32]) -> None:
        self.n_values += block.size
        values = block.reshape(-1)
        finite = np.isfinite(values)
        if not finite.all():
            values = values[finite]
        if values.size == 0:
            return
        wide = values.astype(np.float64)
        self.n_finite += values.size
        self.n_zeros += values.size - int(np.count_nonzero(values))
        self.total += float(wide.sum())
        self.squares += float(wide @ wide)
        self.minimum = min(self.minimum, float(values.min()))
        self.maximum = max(self.maximum, float(values.max()))


def collect_statistics(
    file: GgufFile, *, threads: int = 0, progress: Callable[[int, int], object] | None = None
) -> list[TensorStatistics]:
    """Statistics of every tensor, in file order; memory for one block. `progress` gets bytes done and in all."""
    tensors = file.tensors()
    total_bytes, done_bytes = sum(tensor.n_bytes for tensor in tensors), 0
    found = []
    for tensor in tensors:
        found.append(_statistics(file, tensor, threads))
        done_bytes += tensor.n_bytes
        if progress is not None:
            progress(done_bytes, total_bytes)
    return found


def _statistics(file: GgufFile, tensor: TensorInfo, threads: int) -> TensorStatistics:
    sums = _Sums()
    if is_readable(tensor):
        for block in TensorRows(file, tensor, threads=threads).blocks():
            sums.add(block)
    known, n = sums.n_finite > 0, max(1, sums.n_finite)
    return TensorStatistics(
        name=tensor.name,
        type=tensor.type,
        shape=tensor.shape,
        minimum=sums.minimum if known else None,
        maximum=sums.maximum if known else None,
        mean=sums.total / n if known else None,
        rms=math.sqrt(sums.squares / n) if known else None,
        zeros=sums.n_zeros / n if known else None,
        n_not_finite=sums.n_values - sums.n_finite,
        suspicion=_suspicion(sums) if is_readable(tensor) else f"type {tensor.type} is not read",
    )


def _suspicion(sums: _Sums) -> str | None:
    if sums.n_finite < sums.n_values:
        return "not finite"
    if sums.minimum == sums.maximum == 0:
        return "all zero"
    return "constant" if sums.minimum == sums.maximum and sums.n_values > 1 else None

"""An optimized conversion while it runs: rows are rounded, errors of some measured, the receipt made at its end."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from belle_edge import _core
from belle_edge.convert.architectures.mapped_model import Metadata
from belle_edge.convert.optimize.matrix_rounding import MatrixRounding, RoundingByInput
from belle_edge.convert.optimize.receipt import ERROR_RATIO, measured_value
from belle_edge.convert.optimize.written_rows import WrittenRows
from belle_edge.convert.quantization import PlannedTensor, Rounding
from belle_edge.convert.sources.source_tensors import to_float32

_MEASURED_ROWS = 128  # of each matrix, evenly spread: what is measured costs little beside the rounding

Measure = Callable[[WrittenRows], Metadata]


class OptimizedWriting:
    """What an optimized conversion does differently from others."""

    def __init__(
        self,
        rounding: RoundingByInput,
        names: Mapping[str, str],
        *,
        columns: Mapping[str, NDArray[np.float32]] | None = None,
        measure: Measure | None = None,
        threads: int,
    ) -> None:
        """names: of each matrix that is rounded so -> its name among the moments. columns: their scales.

        measure: gives more entries of the receipt when all tensors are written.
        """
        self._rounding, self._names, self._measure, self._threads = rounding, names, measure, threads
        self._columns = columns or {}
        self._sums: dict[str, list[float]] = {}  # errors of the sampled rows: as written, to the nearest

    def rounding(self, planned: PlannedTensor, start: int) -> Rounding | None:
        """What rounds the rows from source row `start` on; None: each value to the nearest."""
        found = self._rounding.of(self._names[planned.name]) if planned.name in self._names else None
        if found is None:
            return None
        if start == 0:
            self._sums[planned.name] = [0.0, 0.0]

        def rounded(rows: NDArray[Any]) -> NDArray[np.uint8]:
            data = found.round(rows, planned.type)
            self._compare(found, planned, start, rows, data)
            return data

        return rounded

    def measured(self, name: str) -> list[float] | None:
        """Of a matrix that is written: the error of its sampled rows, and that of the nearest values."""
        return self._sums.get(name)

    def results(self, measured: Mapping[str, list[float]], written: WrittenRows) -> Metadata:
        """The receipt's entries that were not known before."""
        ratios = [
            measured[name][0] / measured[name][1]
            for name in self._names
            if name in measured and measured[name][1] > 0
        ]
        mean = math.fsum(ratios) / len(ratios) if ratios else 1.0
        more = self._measure(written) if self._measure is not None else {}
        return {ERROR_RATIO: measured_value(mean), **more}

    def _compare(
        self,
        rounding: MatrixRounding,
        planned: PlannedTensor,
        start: int,
        rows: NDArray[Any],
        data: NDArray[np.uint8],
    ) -> None:
        """Add the errors of sampled rows; which these are does not depend on how the matrix is cut."""
        step = max(1, planned.shape[0] // _MEASURED_ROWS)
        chosen = slice(-start % step, None, step)
        some = np.ascontiguousarray(rows[chosen])
        if some.shape[0] == 0:
            return
        sums = self._sums[planned.name]
        sums[0] += rounding.errors(some, np.ascontiguousarray(data[chosen]), planned.type)
        sums[1] += self._nearest_error(rounding, planned, some)

    def _nearest_error(self, rounding: MatrixRounding, planned: PlannedTensor, rows: NDArray[Any]) -> float:
        """Of these rows as they were without scales."""
        kind, scales, threads = planned.type, self._columns.get(planned.name), self._threads
        if scales is None:
            return rounding.errors(rows, _core.quantize(rows, kind, threads=threads), kind)
        plain = np.asarray(to_float32(rows) / scales, dtype=np.float32)
        nearest = _core.dequantize(_core.quantize(plain, kind, threads=threads), kind, threads=threads)
        difference = np.asarray((plain - nearest) * scales, dtype=np.float32)
        nothing = _core.quantize(np.zeros_like(difference), kind, threads=threads)
        return rounding.errors(difference, nothing, kind)

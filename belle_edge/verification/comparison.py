"""One tensor of a GGUF file against its original: errors, and whether rounding explains them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .bounds import feedback_limits, feedback_rms_limit, limits
from .tensor_rows import BLOCK_VALUES, TensorRows


@dataclass(frozen=True)
class TensorError:
    """How far a tensor is from its original."""

    name: str
    type: str
    shape: tuple[int, ...]
    relative_rms: float | None  # rms of the error / rms of the original; None where a value is not finite
    max_abs_error: float | None
    share_of_limit: float | None  # the largest |error| / what the type allows there: up to 1 is rounding
    n_beyond: int  # values whose error is beyond that
    worst_at: tuple[int, int] | None  # row and column of the one furthest beyond
    expected: float | None  # there, in the original
    found: float | None  # and in the file
    is_too_far: bool = False  # of rows with error feedback: whether all errors together are too large

    @property
    def ok(self) -> bool:
        return self.n_beyond == 0 and not self.is_too_far

    @property
    def problem(self) -> str:
        """One line for a tensor that is not ok."""
        if self.n_beyond == 0:
            return (
                f"{self.name}: further from the source than error feedback in {self.type} explains: the relative RMS"
                f" error is {self.relative_rms or 0.0:.3f}"
            )
        beyond = f"{self.name}: {self.n_beyond} of {math.prod(self.shape)} values"
        if self.worst_at is None:
            return f"{beyond} differ, and not all are finite"
        (row, column), expected, found = self.worst_at, self.expected or 0.0, self.found or 0.0
        return (
            f"{beyond} are further from the source than rounding to {self.type} explains; the worst, at row {row},"
            f" column {column}: expected {expected:g}, got {found:g}"
        )

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "shape": list(self.shape), "ok": self.ok}


class TensorComparison:
    """Gathers the errors of one tensor from blocks of its original, in any order."""

    def __init__(
        self,
        stored: TensorRows,
        *,
        name: str,
        type: str,
        shape: tuple[int, ...],
        row_order: NDArray[np.intp] | None,
        same_blocks: bool,
        has_feedback: bool = False,
    ) -> None:
        """has_feedback: whether the errors of one value were made up for by others."""
        self._stored, self._name, self._type, self._shape = stored, name, type, shape
        self._same_blocks, self._has_feedback = same_blocks, has_feedback
        self._target = None if row_order is None else np.argsort(row_order)  # file's row of each source row
        self._squared_error = self._squares = self._squared_limits = 0.0
        self._largest = self._worst = 0.0
        self._n_beyond = 0
        self._worst_values: tuple[tuple[int, int], float, float] | None = None
        self._finite = True

    def add(self, start: int, rows: NDArray[np.float32]) -> None:
        """Rows of the original from row `start` on."""
        matrix = rows.reshape(rows.shape[0], self._stored.n_cols)
        step = max(1, BLOCK_VALUES // max(1, self._stored.n_cols))
        for first in range(0, matrix.shape[0], step):
            part = matrix[first : first + step]
            places = slice(start + first, start + first + part.shape[0])
            self._compare(part, places if self._target is None else self._target[places], start + first)

    def _compare(self, source: NDArray[np.float32], places: slice | NDArray[np.intp], start: int) -> None:
        stored = self._stored.at(places)
        error = np.abs(stored.astype(np.float64) - source)
        allowed = limits(source, self._type, same_blocks=self._same_blocks)
        if self._has_feedback:
            self._squared_limits += float(np.vdot(allowed, allowed))
            allowed = feedback_limits(source, self._type)
        beyond = ~(error <= allowed)  # also where the error is not a number
        self._n_beyond += int(np.count_nonzero(beyond))
        if not np.isfinite(error).all():
            self._finite = False
            return
        self._squared_error += float(np.vdot(error, error))
        self._squares += float(np.vdot(source.astype(np.float64), source))
        self._largest = max(self._largest, float(error.max(initial=0.0)))
        share = np.divide(error, allowed, out=np.where(error > 0, np.inf, 0.0), where=allowed > 0)
        self._note_worst(share, source, stored, places, start)

    def _note_worst(
        self,
        share: NDArray[np.float64],
        source: NDArray[np.float32],
        stored: NDArray[np.float32],
        places: slice | NDArray[np.intp],
        start: int,
    ) -> None:
        if share.size == 0 or (worst := float(share.max())) <= self._worst:
            return
        row, column = (int(index) for index in np.unravel_index(int(share.argmax()), share.shape))
        self._worst = worst
        place = start + row if isinstance(places, slice) else int(places[row])
        self._worst_values = ((place, column), float(source[row, column]), float(stored[row, column]))

    def result(self) -> TensorError:
        """The errors of all blocks together."""
        rms = math.sqrt(self._squared_error / self._squares) if self._squares > 0 else 0.0
        worst = self._worst_values if self._n_beyond and self._finite else None
        most = feedback_rms_limit(squared_limits=self._squared_limits, squares=self._squares)
        return TensorError(
            name=self._name,
            type=self._type,
            shape=self._shape,
            relative_rms=rms if self._finite else None,
            max_abs_error=self._largest if self._finite else None,
            share_of_limit=self._worst if self._finite and math.isfinite(self._worst) else None,
            n_beyond=self._n_beyond,
            worst_at=worst[0] if worst else None,
            expected=worst[1] if worst else None,
            found=worst[2] if worst else None,
            is_too_far=self._has_feedback and self._squared_error > most,
        )

"""Calibration along the rounded model: each layer's inputs come through matrices that are rounded already."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from belle_edge.convert.architectures.mapped_model import MappedTensor

# Rounds a matrix, given the moments of its input [n_columns, n_columns]: its rows in the order of the GGUF, as float32,
# some at a time.
RoundRows = Callable[[MappedTensor, NDArray[np.float32]], Iterator[NDArray[np.float32]]]


@dataclass(frozen=True)
class AlongTypes:
    """How matrices are rounded on the way."""

    plan: str  # names the types, for the file: the same plan, the same bytes
    round_rows: RoundRows

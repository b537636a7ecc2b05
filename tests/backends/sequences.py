"""Short ways to fill sequences and to compare logits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from belle_edge.backends.base import SequenceState
from belle_edge.backends.llama_cpp import LlamaCppBackend

Ids = NDArray[np.int32]
CLOSE = 1e-3  # of the largest logit: cells are added up in another order, and GELU is a table in f16


def filled(backend: LlamaCppBackend, ids: Ids) -> SequenceState:
    sequence = backend.new_sequence()
    assert backend.forward([(sequence, ids)], logits="none")[0].size == 0
    return sequence


def next_logits(backend: LlamaCppBackend, sequence: SequenceState, ids: Ids) -> NDArray[np.float32]:
    return backend.forward([(sequence, ids)], logits="all")[0]


def assert_close(found: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=CLOSE * np.abs(expected).max())

"""Is a file of moments for this model? A look at its weights: all shapes, and a few values of matrices.

Any form of one model passes: floats of any width, 8-bit blocks. Values of another model are other ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from belle_edge.convert.architectures.mapped_model import MappedTensor, Metadata
from belle_edge.convert.moments.moments_keys import OURS
from belle_edge.convert.sources.source_tensors import to_float32

_SHAPES, _VALUES = f"{OURS}model_shapes", f"{OURS}model_values"
_MATRICES, _COLUMNS = 8, 32  # that are looked at
MOST_DIFFERENT = 0.02  # of values, relative RMS: 8-bit blocks have 0.006, 4-bit ones 0.1


class _Entries(Protocol):
    def get(self, key: str, default: Any = None) -> Any: ...


@dataclass(frozen=True)
class WeightSample:
    """What a model's weights are recognised by."""

    shapes: str  # SHA-256 of the blocks' matrices, names and shapes; a vocabulary may be cut down
    values: NDArray[np.float32]

    @classmethod
    def of(cls, tensors: Iterable[MappedTensor]) -> WeightSample:
        """Of a model that is being read."""
        matrices = [tensor for tensor in tensors if tensor.name.startswith("blk.") and len(tensor.shape) == 2]
        digest = hashlib.sha256()
        for tensor in sorted(matrices, key=lambda tensor: tensor.name):
            digest.update(f"{tensor.name} {list(tensor.shape)}\n".encode())
        return cls(digest.hexdigest(), _values(matrices))

    @classmethod
    def from_metadata(cls, entries: _Entries) -> WeightSample | None:
        """Of a file; None where it has none."""
        shapes, values = entries.get(_SHAPES), entries.get(_VALUES)
        if not isinstance(shapes, str) or not isinstance(values, np.ndarray):
            return None
        return cls(shapes, values.astype(np.float32))

    def metadata(self) -> Metadata:
        """For a file."""
        return {_SHAPES: self.shapes, _VALUES: [float(value) for value in self.values]}

    def difference(self, other: WeightSample) -> float:
        """Relative RMS difference of the values; infinite for other shapes."""
        if self.shapes != other.shapes or self.values.shape != other.values.shape:
            return float("inf")
        size = float(np.linalg.norm(self.values.astype(np.float64)))
        different = float(np.linalg.norm(self.values.astype(np.float64) - other.values))
        return different / size if size > 0 else different

    def is_of(self, other: WeightSample) -> bool:
        """Whether both are of one model."""
        return self.difference(other) <= MOST_DIFFERENT


def _values(matrices: Sequence[MappedTensor]) -> NDArray[np.float32]:
    """Of the middle row of matrices across the model, its first columns."""
    step = max(1, len(matrices) // _MATRICES)
    found = [_middle_row(tensor)[:_COLUMNS] for tensor in matrices[::step][:_MATRICES]]
    return np.concatenate(found) if found else np.zeros(0, dtype=np.float32)


def _middle_row(tensor: MappedTensor) -> NDArray[np.float32]:
    row = tensor.shape[0] // 2
    place = row if tensor.row_order is None else int(tensor.row_order[row])
    return np.asarray(to_float32(tensor.source.rows(place, place + 1))[0], dtype=np.float32)

"""Arrays of token ids and logits: torch tensors, or NumPy arrays that answer to the same few names."""

from __future__ import annotations

import importlib
import operator
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import excerpt

TensorKind = Literal["pt", "np"]


class ArrayTensor(np.ndarray[Any, np.dtype[Any]]):
    """A NumPy array with the methods of a torch tensor that generation scripts call on ids and logits."""

    def to(self, *_args: Any, **_options: Any) -> ArrayTensor:
        """Itself: there is one device, and the dtype stays."""
        return self

    cpu = detach = contiguous = long = to

    def numpy(self) -> NDArray[Any]:
        return np.asarray(self)

    def dim(self) -> int:
        return self.ndim

    def numel(self) -> int:
        return int(self.size)

    def unsqueeze(self, dim: int) -> ArrayTensor:
        return np.expand_dims(self, dim).view(ArrayTensor)

    @property
    def device(self) -> Any:
        """Always "cpu"."""
        return "cpu"


def torch_or_none() -> Any:
    """The torch module, or None where it is not installed (or cannot be loaded)."""
    try:
        return importlib.import_module("torch")
    except (ImportError, OSError):
        return None


def is_torch(value: Any) -> bool:
    """Whether `value` is a torch tensor; does not import torch."""
    return type(value).__module__.split(".")[0] == "torch"


def make_tensor(values: Any, kind: TensorKind) -> Any:
    """`values` as the asked kind: integers become int64. "pt" without torch gives an ArrayTensor.

    Raises ValueError for rows of different lengths.
    """
    array = values if isinstance(values, np.ndarray) else _integers(values)
    if kind == "pt" and (torch := torch_or_none()) is not None:
        return torch.from_numpy(np.ascontiguousarray(array))
    return array.view(ArrayTensor)


def _integers(values: Any) -> NDArray[np.int64]:
    try:
        return np.array(values, dtype=np.int64)
    except ValueError:
        raise ValueError(
            "[tokenizer] the texts have different numbers of tokens: padding=True makes one tensor of them"
        ) from None


def to_lists(ids: Any) -> Any:
    """Token ids in any form (tensor, array, list, one integer) as plain lists, or one integer.

    ValueError for what is no integer.
    """
    if hasattr(ids, "tolist"):
        return ids.tolist()
    if isinstance(ids, Sequence) and not isinstance(ids, (str, bytes, bytearray, memoryview)):
        return [to_lists(item) for item in ids]
    if isinstance(ids, bool):  # of a mask; whoever wants ids looks for them
        return ids
    try:
        return operator.index(ids)
    except TypeError:
        raise ValueError(f"[ids] expected whole numbers, got {excerpt(ids)}") from None

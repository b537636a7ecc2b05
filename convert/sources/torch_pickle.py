"""The pickled part of a PyTorch file, read without torch and without running anything.

A state dict is a pickle of names and of tensors described by storage, offset, shape and strides; the storages' bytes
lie elsewhere in the file. Pickles can call any function by name: this reader knows the few that describe tensors, has
stand-ins of its own for them, and refuses every other name
(https://docs.python.org/3/library/pickle.html, "Restricting Globals").
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

# torch's storage classes → the name of the type of their values.
STORAGE_TYPES = {
    "DoubleStorage": "f64",
    "FloatStorage": "f32",
    "HalfStorage": "f16",
    "BFloat16Storage": "bf16",
    "LongStorage": "i64",
    "IntStorage": "i32",
    "ShortStorage": "i16",
    "CharStorage": "i8",
    "ByteStorage": "u8",
    "BoolStorage": "bool",
    "UntypedStorage": "u8",
}


_LARGEST = 1 << 63  # torch's own limits
_MAX_DIMENSIONS = 64


@dataclass(frozen=True)
class StorageClass:
    """Stands for one of torch's storage classes."""

    dtype: str


@dataclass(frozen=True)
class Storage:
    """A run of values elsewhere in the file."""

    key: str
    dtype: str
    n_values: int


@dataclass(frozen=True)
class PickledTensor:
    """A tensor as the pickle describes it; offset, shape and strides are in values."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    readable: bool = True  # False: its values are not those of the storage (conjugate, negated)


def load_pickle(file: IO[bytes] | io.RawIOBase) -> Any:
    """The object that the next pickle of `file` describes, tensors as PickledTensor.

    Raises pickle.UnpicklingError, which names what is refused, and what a damaged pickle leads to: EOFError,
    ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, MemoryError.
    """
    return _Unpickler(file, encoding="utf-8").load()


class _Unpickler(pickle._Unpickler):
    """Python's own implementation: the one in C grows its memo to any index that a damaged file names, up to 32 GB."""

    def find_class(self, module: str, name: str) -> Any:
        if module in ("torch", "torch.storage") and name in STORAGE_TYPES:
            return StorageClass(STORAGE_TYPES[name])
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None

    def persistent_load(self, saved_id: Any) -> Storage:
        """torch's ids: ("storage", class, key, device, number of values[, view])."""
        if not isinstance(saved_id, tuple) or len(saved_id) < 5 or saved_id[0] != "storage":
            raise pickle.UnpicklingError("it refers to something other than storages of tensors")
        _, kind, key, _, n_values = saved_id[:5]
        if not isinstance(kind, StorageClass) or type(n_values) is not int or not 0 <= n_values < _LARGEST:
            raise pickle.UnpicklingError("it refers to a storage of unknown type")
        return Storage(str(key), kind.dtype, n_values)


def _tensor(
    storage: Storage,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    requires_grad: bool = False,
    hooks: Any = None,
    metadata: Any = None,
) -> PickledTensor:
    """For torch._utils._rebuild_tensor_v2 and the older _rebuild_tensor."""
    values = (offset, *shape, *strides)
    if not isinstance(storage, Storage) or len(shape) != len(strides) or len(shape) > _MAX_DIMENSIONS:
        raise pickle.UnpicklingError("a tensor is described in an unknown way")
    if not all(type(value) is int and 0 <= value < _LARGEST for value in values):
        raise pickle.UnpicklingError("a tensor has a negative or impossible size, stride or offset")
    return PickledTensor(storage, offset, tuple(shape), tuple(strides), readable=not metadata)


def _parameter(data: Any, requires_grad: bool = False, hooks: Any = None, state: Any = None) -> Any:
    return data


def _encoded(text: str, encoding: str) -> bytes:
    """For _codecs.encode, by which old pickles write bytes."""
    if encoding not in ("latin1", "latin-1", "utf-8"):
        raise pickle.UnpicklingError(f"it asks for the codec {encoding}")
    return text.encode(encoding)


_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("torch.nn.parameter", "Parameter"): _parameter,
    ("torch", "Size"): tuple,
    ("_codecs", "encode"): _encoded,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
}

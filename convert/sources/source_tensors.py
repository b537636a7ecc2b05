"""What every source of weights provides: named tensors whose rows are read a block at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from belle_edge.convert.sources.byte_source import ByteSource, cut_off

# Names of the float types a checkpoint may store, with the array type its bytes are viewed as. NumPy has no
# bfloat16: its bits stay in uint16, which the C++ quantizer takes as it is.
FLOAT_TYPES: Mapping[str, type[np.generic]] = {
    "f64": np.float64,
    "f32": np.float32,
    "f16": np.float16,
    "bf16": np.uint16,
}
INTEGER_TYPES: Mapping[str, type[np.generic]] = {
    "i64": np.int64,
    "i32": np.int32,
    "i16": np.int16,
    "i8": np.int8,
    "u8": np.uint8,
    "bool": np.bool_,
}
ELEMENT_TYPES: Mapping[str, type[np.generic]] = {**FLOAT_TYPES, **INTEGER_TYPES}


class SourceTensor(Protocol):
    """One tensor of a checkpoint. Reading it must not cost memory beyond the rows asked for."""

    @property
    def name(self) -> str: ...
    @property
    def file(self) -> str:
        """Name of the file it lies in, for messages and for the order of reading."""

    @property
    def offset(self) -> int:
        """Where in the file it starts, for the order of reading."""

    @property
    def dtype(self) -> str:
        """A key of FLOAT_TYPES, or another lower-case name that the converter refuses."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def n_bytes(self) -> int: ...
    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Rows start … stop of the first dimension: float32, float16, or bfloat16 bits as uint16."""


@runtime_checkable
class BlockTensor(SourceTensor, Protocol):
    """A tensor that is quantized already, in blocks that are exactly those of a GGUF type.

    `rows` gives the values, exactly as the source means them.
    """

    @property
    def block_type(self) -> str:
        """Its name in `_core.weight_types()`."""

    @property
    def keeps_blocks(self) -> bool:
        """Whether only a float type, or one given for this very tensor, is a reason to give the blocks up."""

    def blocks(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Rows start … stop in GGUF's encoding of `block_type`, [stop - start, bytes per row]."""


@runtime_checkable
class RequantizedTensor(SourceTensor, Protocol):
    """A tensor that is quantized already, in a way that no GGUF type has: its values are quantized once more."""

    @property
    def nearest_type(self) -> str:
        """The type that loses least for its size."""

    @property
    def reason(self) -> str:
        """Why its codes cannot be taken over, for the report."""


@dataclass(frozen=True)
class StoredTensor:
    """A tensor that lies in a file as an array.

    strides: in elements, for tensors that were saved transposed or as a part of another; None: row after row.
    """

    name: str
    source: ByteSource
    dtype: str
    shape: tuple[int, ...]
    offset: int  # in bytes
    strides: tuple[int, ...] | None = None

    @property
    def file(self) -> str:
        return self.source.name

    @property
    def item_bytes(self) -> int:
        """Bytes per value; 1 for types that nobody reads."""
        return np.dtype(ELEMENT_TYPES.get(self.dtype, np.uint8)).itemsize

    @property
    def n_bytes(self) -> int:
        return math.prod(self.shape) * self.item_bytes

    @property
    def span_bytes(self) -> int:
        """Bytes of the file from its first to its last value."""
        if self.strides is None or 0 in self.shape:
            return self.n_bytes
        last = sum((length - 1) * stride for length, stride in zip(self.shape, self.strides, strict=True))
        return (last + 1) * self.item_bytes

    def check_inside(self) -> None:
        """ConversionError if the file ends before the tensor does."""
        if self.offset < 0 or self.offset + self.span_bytes > self.source.size_bytes:
            raise cut_off(
                f"{self.file}] {self.name} [tensor", self.offset + self.span_bytes, self.source.size_bytes
            )

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """See SourceTensor; float64 is narrowed, integers come as they are."""
        block = self._block(start, stop)
        return block.astype(np.float32) if self.dtype == "f64" else block

    def _block(self, start: int, stop: int) -> NDArray[Any]:
        element = np.dtype(ELEMENT_TYPES[self.dtype]).newbyteorder("<")
        shape = (stop - start, *self.shape[1:])
        if self.strides is None:
            row_bytes = self.n_bytes // max(1, self.shape[0])
            raw = self.source.read(self.offset + start * row_bytes, (stop - start) * row_bytes)
            return np.frombuffer(raw, dtype=element).reshape(shape)
        raw = self.source.read(self.offset, self.span_bytes)
        flat = np.frombuffer(raw, dtype=element)[start * self.strides[0] :]
        byte_strides = tuple(stride * element.itemsize for stride in self.strides)
        return np.lib.stride_tricks.as_strided(flat, shape, byte_strides, writeable=False)


@dataclass(frozen=True)
class ArrayTensor:
    """A tensor in memory: a small one that was computed."""

    name: str
    file: str
    dtype: str
    shape: tuple[int, ...]
    array: NDArray[Any]
    offset: int = 0

    @property
    def n_bytes(self) -> int:
        return math.prod(self.shape) * self.array.itemsize

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        block = self.array[start:stop]
        return block.astype(np.float32) if self.dtype == "f64" else block


def to_float32(block: NDArray[Any]) -> NDArray[np.float32]:
    """A block from SourceTensor.rows as float32 of the same shape; exact."""
    if block.dtype == np.uint16:
        return np.asarray((block.astype(np.uint32) << np.uint32(16)).view(np.float32))
    return block.astype(np.float32, copy=False)

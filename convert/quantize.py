"""The plan (which tensor is stored as which type, how large it is) and its execution, block by block."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from belle_edge import _core
from belle_edge.convert.architectures.base import MappedTensor
from belle_edge.convert.sources.tensors import RowIndex, to_float32
from belle_edge.errors import ConversionError

TYPES = ("f32", "f16", "bf16", "q4_0", "q4_1", "q8_0")
BLOCK_BYTES = 16 << 20  # source bytes read, quantized and written at a time
_F16_LIMIT = 65520.0  # from here on a float rounds to infinity in f16


@dataclass(frozen=True)
class PlannedTensor:
    """A tensor with the type it gets, and the reason where that is not the type asked for."""

    tensor: MappedTensor
    type: str
    ggml_id: int
    n_bytes: int
    fallback: str | None = None

    @property
    def name(self) -> str:
        return self.tensor.name

    @property
    def shape(self) -> tuple[int, ...]:
        return self.tensor.shape


def plan(tensors: list[MappedTensor], *, type: str) -> list[PlannedTensor]:
    """Choose the type of every tensor: `type` for matrices, f32 for norms and biases.

    Matrices whose rows a block of `type` does not divide become f16, or f32 where a value is too large for
    f16 (only those are read for it). Raises ConversionError for an unknown type.
    """
    known = _core.weight_types()
    if type not in TYPES or type not in known:
        raise ConversionError(f"[type] unknown type {type!r}: expected one of {', '.join(TYPES)}")
    planned = []
    for tensor in tensors:
        chosen, reason = type, None
        if len(tensor.shape) == 1:
            chosen = "f32"
        elif tensor.shape[-1] % known[type]["block_size"]:
            chosen = "f16" if fits_f16(tensor) else "f32"
            reason = f"rows of {tensor.shape[-1]} are not a multiple of {known[type]['block_size']}"
            reason += "" if chosen == "f16" else ", and a value exceeds f16"
        info = known[chosen]
        n_values = math.prod(tensor.shape)
        n_bytes = n_values // info["block_size"] * info["block_bytes"]
        planned.append(PlannedTensor(tensor, chosen, info["ggml_id"], n_bytes, reason))
    return planned


def fits_f16(tensor: MappedTensor) -> bool:
    """Whether every value stays finite in f16 (NaN and infinity are reported when they are converted)."""
    if tensor.source.dtype == "f16":
        return True
    return all(
        float(np.max(np.abs(to_float32(tensor.source.rows(index))), initial=0.0)) < _F16_LIMIT
        for index, _ in row_blocks(tensor)
    )


def row_blocks(tensor: MappedTensor) -> Iterator[tuple[RowIndex, int]]:
    """(source rows, source bytes) of each block of a tensor, in the order in which the GGUF stores them."""
    n_rows = tensor.shape[0]
    row_bytes = max(1, tensor.source.n_bytes // max(1, n_rows))
    step = max(1, BLOCK_BYTES // row_bytes)
    for start in range(0, n_rows, step):
        stop = min(start + step, n_rows)
        index: RowIndex = slice(start, stop) if tensor.row_order is None else tensor.row_order[start:stop]
        yield index, (stop - start) * row_bytes


def converted_blocks(planned: PlannedTensor, *, threads: int = 0) -> Iterator[tuple[NDArray[np.uint8], int]]:
    """(GGUF bytes, source bytes they come from) of each block of a tensor.

    Raises ConversionError naming the tensor for values that are not finite, or too large for f16.
    """
    source = planned.tensor.source
    for index, n_source_bytes in row_blocks(planned.tensor):
        rows = source.rows(index)
        if rows.ndim == 1:
            rows = rows[np.newaxis, :]
        try:
            data = _core.quantize(np.ascontiguousarray(rows), planned.type, threads=threads)
        except ValueError as error:
            raise ConversionError(f"[{source.file}] {source.name}: {error}") from None
        if planned.type == "f16" and rows.dtype != np.float16:
            _check_f16(planned, data)
        yield data, n_source_bytes


def _check_f16(planned: PlannedTensor, data: NDArray[np.uint8]) -> None:
    if np.isinf(data.view(np.float16)).any():
        source = planned.tensor.source
        raise ConversionError(
            f"[{source.file}] {source.name}: a value is too large for f16; use --type bf16 or f32"
        )

"""The plan (which tensor is stored as which type, how large it is) and the encoding of a block of rows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from belle_edge import _core
from belle_edge.convert.architectures.mapped_model import MappedTensor
from belle_edge.convert.sources.source_tensors import FLOAT_TYPES, BlockTensor, RequantizedTensor, to_float32
from belle_edge.errors import ConversionError

TYPES = tuple(name for name, kind in _core.weight_types().items() if kind["written"])
DEFAULT_TYPE = "q4_0"
BLOCK_BYTES = 16 << 20  # source bytes read, quantized and written at a time


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

    @property
    def is_repacked(self) -> bool:
        """Whether the source's own blocks are taken over as they are."""
        source = self.tensor.source
        return isinstance(source, BlockTensor) and source.block_type == self.type


def plan(tensors: list[MappedTensor], *, type: str | None) -> list[PlannedTensor]:
    """Choose the type of every tensor.

    Norms and biases are f32. Matrices become `type` (None: q4_0); those that come in blocks of a GGUF type keep these
    unless `type` is a float type. Beside quantized matrices None means f16, and for those that are in no GGUF type's
    blocks the nearest type. Matrices whose rows a block of `type` does not divide become f16. Where f16 is our choice
    and a value is too large for it, it is f32 (only those tensors are read for it). Raises ConversionError for an
    unknown type.
    """
    if type is not None and type not in TYPES:
        raise ConversionError(f"[type] unknown type {type!r}: expected one of {', '.join(TYPES)}")
    quantized = any(isinstance(tensor.source, BlockTensor | RequantizedTensor) for tensor in tensors)
    return [_planned(tensor, type, default="f16" if quantized else DEFAULT_TYPE) for tensor in tensors]


def _planned(tensor: MappedTensor, type: str | None, *, default: str) -> PlannedTensor:
    known, source = _core.weight_types(), tensor.source
    chosen, reason = type or default, None
    if isinstance(source, BlockTensor) and (type is None or known[type]["quantized"]):
        chosen = source.block_type
        reason = "quantized already, taken over as it is" if type not in (None, chosen) else None
    elif len(tensor.shape) == 1:
        chosen = "f32"
    elif isinstance(source, RequantizedTensor) and type is None:
        chosen, reason = source.nearest_type, f"requantized: {source.reason}"
    elif type is None and chosen == "f16" and not fits_f16(tensor):
        chosen, reason = "f32", "a value exceeds f16"
    if tensor.shape[-1] % known[chosen]["block_size"]:
        reason = f"rows of {tensor.shape[-1]} are not a multiple of {known[chosen]['block_size']}"
        chosen = "f16" if fits_f16(tensor) else "f32"
        reason += "" if chosen == "f16" else ", and a value exceeds f16"
    info = known[chosen]
    n_bytes = math.prod(tensor.shape) // info["block_size"] * info["block_bytes"]
    return PlannedTensor(tensor, chosen, info["ggml_id"], n_bytes, reason)


def main_type(planned: list[PlannedTensor], *, type: str | None) -> str:
    """The type a file is named by: the one asked for, or that of most matrix values where some were quantized."""
    counts: Counter[str] = Counter()
    for tensor in planned:
        if len(tensor.shape) > 1:
            counts[tensor.type] += math.prod(tensor.shape)
    sources = [tensor.tensor.source for tensor in planned]
    by_source = any(tensor.is_repacked for tensor in planned) or (
        type is None and any(isinstance(source, RequantizedTensor) for source in sources)
    )
    return counts.most_common(1)[0][0] if by_source else type or DEFAULT_TYPE


def requantized_warnings(planned: list[PlannedTensor]) -> list[str]:
    """A line for each reason why matrices that were quantized already are quantized once more."""
    known = _core.weight_types()
    counts = Counter(
        (tensor.tensor.source.reason, tensor.type)
        for tensor in planned
        if isinstance(tensor.tensor.source, RequantizedTensor) and known[tensor.type]["quantized"]
    )
    return [
        f"{count} quantized matrices were quantized once more, to {type}, which costs some precision: {reason};"
        " --type f16 keeps their values"
        for (reason, type), count in counts.items()
    ]


def fits_f16(tensor: MappedTensor) -> bool:
    """Whether every value stays finite in f16 (NaN and infinity are reported when they are converted)."""
    if tensor.source.dtype == "f16":
        return True
    return all(
        float(np.max(np.abs(to_float32(tensor.source.rows(start, stop))), initial=0.0)) < _core.HALF_OVERFLOW
        for start, stop in row_blocks(tensor)
    )


def row_blocks(tensor: MappedTensor) -> Iterator[tuple[int, int]]:
    """(start, stop) of the source rows of each block of a tensor."""
    n_rows = tensor.shape[0]
    value_bytes = np.dtype(FLOAT_TYPES[tensor.source.dtype]).itemsize  # packed codes grow when they are read
    row_bytes = max(1, tensor.source.n_bytes // max(1, n_rows), math.prod(tensor.shape[1:]) * value_bytes)
    step = max(1, BLOCK_BYTES // row_bytes)
    for start in range(0, n_rows, step):
        yield start, min(start + step, n_rows)


def read_rows(planned: PlannedTensor, start: int, stop: int) -> NDArray[np.generic]:
    """Source rows start … stop as `encode` takes them: of a repacked tensor its blocks, else values."""
    source = planned.tensor.source
    if planned.is_repacked and isinstance(source, BlockTensor):
        return source.blocks(start, stop)
    return source.rows(start, stop)


def _has_finite_scales(data: NDArray[np.uint8], type: str) -> bool:
    """Whether every block can be expanded again: its scales and minima in f16."""
    kind = _core.weight_types()[type]
    blocks = data.reshape(-1, kind["block_bytes"])
    return all(
        bool(np.isfinite(np.ascontiguousarray(blocks[:, at : at + 2]).view(np.float16)).all())
        for at in kind["scale_offsets"]
    )


def encode(planned: PlannedTensor, rows: NDArray[np.generic], *, threads: int = 0) -> NDArray[np.uint8]:
    """The GGUF bytes of rows from `read_rows`, [rows, bytes per row]; of a vector [values, 4].

    Raises ConversionError naming the tensor for values that are not finite, or too large for f16.
    """
    source = planned.tensor.source
    if planned.is_repacked:
        blocks = np.asarray(rows, dtype=np.uint8)
        if not _has_finite_scales(blocks, planned.type):
            raise ConversionError(
                f"[{source.file}] {source.name}: a scale is NaN or infinite: the file is damaged, download it again"
            )
        return blocks
    matrix = rows[:, np.newaxis] if rows.ndim == 1 else rows
    try:
        data = _core.quantize(np.ascontiguousarray(matrix), planned.type, threads=threads)
    except ValueError as error:
        raise ConversionError(f"[{source.file}] {source.name}: {error}") from None
    if not _has_finite_scales(data, planned.type):
        raise ConversionError(
            f"[{source.file}] {source.name}: values are too large for the f16 scales of {planned.type}; use --type bf16"
            " or f32 if the file is sound"
        )
    if planned.type == "f16" and rows.dtype != np.float16 and np.isinf(data.view(np.float16)).any():
        raise ConversionError(
            f"[{source.file}] {source.name}: a value is too large for f16; use --type bf16 or f32"
        )
    return data

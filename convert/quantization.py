"""The plan (which tensor is stored as which type, how large it is) and the encoding of a block of rows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from belle_edge import _core
from belle_edge.convert.architectures.mapped_model import MappedTensor
from belle_edge.convert.sources.source_tensors import FLOAT_TYPES, BlockTensor, RequantizedTensor, to_float32
from belle_edge.convert.type_mixes import Mix, mix_named, row_bytes, type_for_rows
from belle_edge.convert.type_rules import TypeChoice, TypeRules
from belle_edge.errors import ConversionError

BLOCK_BYTES = 16 << 20  # source bytes read, quantized and written at a time
# Rows of floats [rows, columns] to GGUF bytes [rows, bytes per row].
Rounding = Callable[[NDArray[Any]], NDArray[np.uint8]]


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


def plan(
    tensors: list[MappedTensor], rules: TypeRules, *, n_layers: int, key_sharing: int = 1
) -> list[PlannedTensor]:
    """Choose the type of every tensor.

    Norms and biases are f32. Matrices become what `rules` say. Those that come in blocks of a GGUF type keep these,
    unless a float type is asked for, or one is given for this matrix. Beside such blocks no type means f16, and for
    those that are in no GGUF type's blocks the nearest type. Rows that a super-block does not divide get the nearest
    type with smaller blocks, and rows that no block divides become f16. Where f16 is our choice and a value is too
    large for it, it is f32 (only those tensors are read for it). Raises ConversionError as `TypeRules.types_of`.
    """
    shapes = {tensor.name: tensor.shape for tensor in tensors if len(tensor.shape) > 1}
    choices = rules.types_of(shapes, n_layers=n_layers, key_sharing=key_sharing)
    beside_blocks = rules.type is None and any(_keeps_codes(tensor) for tensor in tensors)
    default = TypeChoice("f16", False)
    return [
        _planned(
            tensor,
            default if beside_blocks and not choices[tensor.name].is_given else choices[tensor.name],
            is_named=rules.type is not None,
        )
        if tensor.name in choices
        else _sized(tensor, "f32", None)
        for tensor in tensors
    ]


def _keeps_codes(tensor: MappedTensor) -> bool:
    """Whether a tensor's own codes matter more than the type of the rest: it was quantized by other programs."""
    source = tensor.source
    return source.keeps_blocks if isinstance(source, BlockTensor) else isinstance(source, RequantizedTensor)


def _planned(tensor: MappedTensor, choice: TypeChoice, *, is_named: bool) -> PlannedTensor:
    """A matrix. is_named: whether a type was asked for at all."""
    known, source = _core.weight_types(), tensor.source
    chosen, reason, is_ours = choice.type, None, not (is_named or choice.is_given)
    if choice.is_given:
        pass
    elif isinstance(source, BlockTensor) and source.keeps_blocks and (is_ours or known[chosen]["quantized"]):
        chosen = source.block_type
        reason = "quantized already, taken over as it is" if not is_ours and chosen != choice.type else None
    elif isinstance(source, RequantizedTensor) and is_ours:
        chosen, reason = source.nearest_type, f"requantized: {source.reason}"
    elif is_ours and chosen == "f16" and not fits_f16(tensor):
        chosen, reason = "f32", "a value exceeds f16"
    return _fitting(tensor, chosen, reason)


def _fitting(tensor: MappedTensor, type: str, reason: str | None) -> PlannedTensor:
    """`type`, or what stands in for it where its blocks do not divide the rows."""
    known, n_columns = _core.weight_types(), tensor.shape[-1]
    fitting = type_for_rows(type, n_columns)
    if fitting == type:
        return _sized(tensor, type, reason)
    reason = f"rows of {n_columns} are not a multiple of "
    if fitting is not None:
        return _sized(tensor, fitting, f"{reason}{known[type]['block_size']}, as {type} needs")
    fits, reason = fits_f16(tensor), f"{reason}{_core.BLOCK_SIZE}"
    return _sized(tensor, "f16" if fits else "f32", reason + ("" if fits else ", and a value exceeds f16"))


def _sized(tensor: MappedTensor, type: str, reason: str | None) -> PlannedTensor:
    n_bytes = math.prod(tensor.shape[:-1]) * row_bytes(type, tensor.shape[-1])
    return PlannedTensor(tensor, type, _core.weight_types()[type]["ggml_id"], n_bytes, reason)


def main_mix(planned: list[PlannedTensor], rules: TypeRules) -> Mix:
    """What a file is named by: the mix asked for, or the type of most matrix values where some kept their codes."""
    counts: Counter[str] = Counter()
    for tensor in planned:
        if len(tensor.shape) > 1:
            counts[tensor.type] += math.prod(tensor.shape)
    by_source = any(tensor.is_repacked and _keeps_codes(tensor.tensor) for tensor in planned) or (
        rules.type is None and any(_keeps_codes(tensor.tensor) for tensor in planned)
    )
    return mix_named(counts.most_common(1)[0][0], pure=True) if by_source else rules.mix


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


def encode(
    planned: PlannedTensor,
    rows: NDArray[np.generic],
    *,
    threads: int = 0,
    rounding: Rounding | None = None,
) -> NDArray[np.uint8]:
    """The GGUF bytes of rows from `read_rows`, [rows, bytes per row]; of a vector [values, 4].

    rounding: how values become blocks; None: each to the nearest. Raises ConversionError naming the tensor for values
    that are not finite, or too large for f16.
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
        values = np.ascontiguousarray(matrix)
        data = rounding(values) if rounding else _core.quantize(values, planned.type, threads=threads)
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

"""One matrix of a GPTQ checkpoint: what is stored for it, checked, and its rows as values or as GGUF blocks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from belle_edge._core import BLOCK_SIZE, HALF_OVERFLOW
from belle_edge.convert.sources.gptq.packed_blocks import (
    Words,
    pack_nibbles,
    q4_0_blocks,
    q4_1_blocks,
    q8_0_blocks,
    unpack,
)
from belle_edge.convert.sources.source_tensors import FLOAT_TYPES, SourceTensor, to_float32
from belle_edge.errors import ConversionError

BITS = (2, 3, 4, 8)
_COLUMNS = 128  # outputs worked on at a time: their words and blocks stay in the cache


@dataclass(frozen=True)
class GptqParts:
    """The stored tensors of the matrix `name`, whose values are scale · (code - zero)."""

    name: str  # with .weight at its end
    qweight: SourceTensor  # i32 [n_in · bits / 32, n_out]: codes, packed along the inputs
    qzeros: SourceTensor  # i32 [n_groups, n_out · bits / 32]: zeros, packed along the outputs
    scales: SourceTensor  # [n_groups, n_out]
    g_idx: SourceTensor | None  # i32 [n_in]: group of each input; None: equal groups in order

    @property
    def n_bytes(self) -> int:
        stored = (self.qweight, self.qzeros, self.scales, self.g_idx)
        return sum(tensor.n_bytes for tensor in stored if tensor is not None)

    def stored_zeros(self, bits: int) -> NDArray[np.uint8]:
        """[n_groups, n_out], as they are in the file."""
        packed = _words(self.qzeros, 0, self.qzeros.shape[0])
        return np.ascontiguousarray(unpack(np.ascontiguousarray(packed.T), bits).T)

    def words(self, start: int, stop: int) -> Words:
        """Rows start … stop of qweight; a view where the file is mapped."""
        return _words(self.qweight, start, stop)


@dataclass(frozen=True)
class GptqLayout:
    """What the shapes say about a matrix."""

    bits: int
    n_in: int
    n_out: int
    groups: NDArray[np.intp]  # group of each input [n_in]

    @property
    def block_groups(self) -> NDArray[np.intp] | None:
        """Group of each block of 32 inputs; None where inputs of a block belong to several groups."""
        if self.n_in % BLOCK_SIZE:
            return None
        blocks = self.groups.reshape(-1, BLOCK_SIZE)
        return blocks[:, 0] if np.array_equal(blocks, np.repeat(blocks[:, :1], BLOCK_SIZE, axis=1)) else None


@dataclass
class _Loaded:
    """A matrix while its rows are being read."""

    words: Words  # [n_words, n_out]
    scales: NDArray[np.float32]  # [n_groups, n_out]
    zeros: NDArray[np.float32]  # [n_groups, n_out]


@dataclass
class GptqTensor:
    """A SourceTensor of a matrix's exact values."""

    parts: GptqParts
    layout: GptqLayout
    zero_offset: int  # what is added to a stored zero: 1 in the old convention, 0 in the new one
    _loaded: _Loaded | None = field(default=None, init=False, repr=False)

    dtype = "f32"  # of the values

    @property
    def name(self) -> str:
        return self.parts.name

    @property
    def file(self) -> str:
        return self.parts.qweight.file

    @property
    def offset(self) -> int:
        return self.parts.qweight.offset

    @property
    def n_bytes(self) -> int:
        return self.parts.n_bytes

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.layout.n_out, self.layout.n_in)

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Rows start … stop as float32."""
        values = np.empty((stop - start, self.layout.n_in), dtype=np.float32)
        for first, words, scales, zeros in self._columns(start, stop):
            codes = unpack(words, self.layout.bits).astype(np.float32)
            codes -= zeros[self.layout.groups]
            codes *= scales[self.layout.groups]
            values[first - start : first - start + words.shape[1]] = codes.T
        return values

    def _columns(
        self, start: int, stop: int
    ) -> Iterator[tuple[int, Words, NDArray[np.float32], NDArray[np.float32]]]:
        """(first output, words, scales, zeros) of a few outputs at a time.

        The matrix is read whole, once: its rows lie across all of it. It is given back after the last one.
        """
        if self._loaded is None:
            self._loaded = self._load()
        loaded = self._loaded
        for first in range(start, stop, _COLUMNS):
            part = slice(first, min(first + _COLUMNS, stop))
            words = np.ascontiguousarray(loaded.words[:, part])
            yield first, words, loaded.scales[:, part], loaded.zeros[:, part]
        if stop == self.layout.n_out:
            self._loaded = None

    def _load(self) -> _Loaded:
        bits, parts = self.layout.bits, self.parts
        stored = parts.stored_zeros(bits).astype(np.int32)
        zeros = (stored + self.zero_offset) & ((1 << bits) - 1)  # a zero of 0 is stored as the largest code
        scales = to_float32(parts.scales.rows(0, parts.scales.shape[0]))
        return _Loaded(parts.words(0, parts.qweight.shape[0]), scales, zeros.astype(np.float32))


@dataclass
class RepackedGptqTensor(GptqTensor):
    """A BlockTensor: groups made of whole blocks, codes that a GGUF type has."""

    block_type: str = field(kw_only=True)  # q4_0, q4_1, q8_0
    block_groups: NDArray[np.intp] = field(kw_only=True)  # group of each block [n_in / 32]
    keeps_blocks = True

    def blocks(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Rows start … stop as blocks of `block_type`. ConversionError for scales beyond f16."""
        return np.concatenate(
            [self._repacked(words, scales, zeros) for _, words, scales, zeros in self._columns(start, stop)]
        )

    def _repacked(
        self, words: Words, scales: NDArray[np.float32], zeros: NDArray[np.float32]
    ) -> NDArray[np.uint8]:
        d = self._f16(scales)[self.block_groups]
        if self.block_type == "q8_0":
            return q8_0_blocks(words, d)
        if self.layout.bits != 4:
            words = pack_nibbles(unpack(words, self.layout.bits))
        if self.block_type == "q4_0":
            return q4_0_blocks(words, d)
        return q4_1_blocks(words, d, self._f16(-scales * zeros)[self.block_groups])

    def _f16(self, values: NDArray[np.float32]) -> NDArray[np.float16]:
        if not np.all(np.abs(values) < HALF_OVERFLOW):
            scales = self.parts.scales
            raise ConversionError(
                f"[{scales.file}] {scales.name}: a scale is not finite or, times its zero, too large for f16, which"
                f" {self.block_type} keeps it in; --type f32 or bf16 expands the codes"
            )
        return values.astype(np.float16)


@dataclass
class RequantizedGptqTensor(GptqTensor):
    """A RequantizedTensor: GGUF has no type that its codes would fit in as they are."""

    nearest_type: str = field(kw_only=True)
    reason: str = field(kw_only=True)


def read_layout(parts: GptqParts, *, group_size: int | None) -> GptqLayout:
    """Bits, size and groups of a matrix. ConversionError for tensors that do not fit together.

    group_size: as a configuration gives it; None or one that does not fit: from the shapes.
    """
    _check_types(parts)
    n_words, n_out = parts.qweight.shape
    n_groups = parts.scales.shape[0]
    if parts.scales.shape[1] != n_out or parts.qzeros.shape[0] != n_groups:
        raise _mismatch(parts, "they do not belong together; download it again (or AWQ, which is not read?)")
    bits, rest = divmod(parts.qzeros.shape[1] * 32, max(1, n_out))
    if rest or bits not in BITS or n_words * 32 % bits:
        raise _mismatch(parts, f"expected codes of {', '.join(map(str, BITS))} bits; download it again")
    n_in = n_words * 32 // bits
    if parts.g_idx is not None:
        return GptqLayout(bits, n_in, n_out, _read_groups(parts, parts.g_idx, n_in, n_groups))
    size = _group_size(n_in, n_groups, group_size)
    if size is None:
        raise _mismatch(parts, f"{n_groups} groups do not cut {n_in} inputs evenly; download it again")
    return GptqLayout(bits, n_in, n_out, np.arange(n_in, dtype=np.intp) // size)


def _check_types(parts: GptqParts) -> None:
    for tensor in (parts.qweight, parts.qzeros, parts.scales):
        wanted = tuple(FLOAT_TYPES) if tensor is parts.scales else ("i32",)
        if tensor.dtype not in wanted or len(tensor.shape) != 2 or 0 in tensor.shape:
            raise ConversionError(
                f"[{tensor.file}] {tensor.name}: expected a matrix of {' or '.join(wanted)}, got {tensor.dtype}"
                f" {list(tensor.shape)}"
            )


def _read_groups(parts: GptqParts, g_idx: SourceTensor, n_in: int, n_groups: int) -> NDArray[np.intp]:
    if g_idx.dtype not in ("i32", "i64") or g_idx.shape != (n_in,):
        raise ConversionError(
            f"[{g_idx.file}] {g_idx.name}: expected i32 [{n_in}], got {g_idx.dtype} {list(g_idx.shape)}"
        )
    groups = g_idx.rows(0, n_in).astype(np.intp)
    if groups.min() < 0 or groups.max() >= n_groups:
        raise ConversionError(
            f"[{g_idx.file}] {g_idx.name}: expected groups from 0 to {n_groups - 1} (rows of {parts.scales.name}),"
            f" got {groups.min()} … {groups.max()}; the file is damaged, download it again"
        )
    return groups


def _group_size(n_in: int, n_groups: int, configured: int | None) -> int | None:
    """Inputs per group: the configured number, else a power of two, else equal parts; the last may be shorter."""
    powers = [1 << exponent for exponent in range(3, 16)]
    candidates = [configured or 0, n_in, *powers, n_in // n_groups]
    return next((size for size in candidates if size > 0 and math.ceil(n_in / size) == n_groups), None)


def _mismatch(parts: GptqParts, what: str) -> ConversionError:
    shapes = ", ".join(
        f"{kind} {list(tensor.shape)}"
        for kind, tensor in (("qweight", parts.qweight), ("qzeros", parts.qzeros), ("scales", parts.scales))
    )
    return ConversionError(f"[{parts.qweight.file}] {parts.name.removesuffix('.weight')}: {shapes}: {what}")


def _words(tensor: SourceTensor, start: int, stop: int) -> Words:
    block: NDArray[np.int32] = tensor.rows(start, stop)
    return block.view(np.uint32)

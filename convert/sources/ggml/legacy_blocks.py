"""The blocks of files from before GGUF as those of GGUF: codes change places, scales become half precision.

A block of q4_0 is d · (code - 8), of q4_1 d · code + m, of q8_0 d · code, for 32 neighbours of a row, its scales first.
Up to ggjt v2 the scales are float32, and up to ggjt v1 a byte holds the codes of two neighbours (llama.cpp's pull
requests 1405 and 1508 changed that).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from belle_edge._core import HALF_OVERFLOW, weight_types
from belle_edge.convert.sources.byte_source import ByteSource
from belle_edge.convert.sources.ggml.legacy_file import BLOCK, GgmlFormat
from belle_edge.convert.sources.source_tensors import StoredTensor
from belle_edge.errors import ConversionError


@dataclass(frozen=True)
class GgmlFloatTensor(StoredTensor):
    """A tensor of floats, perhaps with rows in GGUF's order (see rotary_rows.py)."""

    hf_rows: NDArray[np.intp] | None = None


@dataclass(frozen=True)
class GgmlBlockTensor:
    """A BlockTensor of such a file."""

    name: str
    source: ByteSource
    block_type: str  # q4_0, q4_1, q8_0
    shape: tuple[int, ...]
    offset: int
    n_bytes: int
    format: GgmlFormat
    hf_rows: NDArray[np.intp] | None = None

    dtype = "f32"  # of the values
    keeps_blocks = True

    @property
    def file(self) -> str:
        return self.source.name

    @property
    def n_scales(self) -> int:
        """Per block: d, and m of q4_1."""
        return len(weight_types()[self.block_type]["scale_offsets"])

    def blocks(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Rows start … stop as GGUF has them. ConversionError for scales beyond f16."""
        scales, codes = self._parts(start, stop)
        halves = scales.astype("<f2").view(np.uint8)  # [rows, blocks, 2 n_scales]
        return np.concatenate([halves, codes], axis=2).reshape(stop - start, -1)

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Rows start … stop as float32, with the scales as they are stored."""
        scales, codes = self._parts(start, stop)
        if self.block_type == "q8_0":
            values = codes.view(np.int8).astype(np.float32)
        else:
            values = np.concatenate([codes & 15, codes >> 4], axis=2).astype(np.float32)
        if self.block_type == "q4_0":
            values -= 8
        values *= scales[:, :, :1]
        if self.n_scales == 2:
            values += scales[:, :, 1:]
        return values.reshape(stop - start, -1)

    def _parts(self, start: int, stop: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """(scales [rows, blocks, n_scales], codes in GGUF's order [rows, blocks, bytes]) of rows start … stop."""
        row_bytes = self.n_bytes // self.shape[0]
        raw = self.source.read(self.offset + start * row_bytes, (stop - start) * row_bytes)
        parts = raw.reshape(stop - start, self.shape[1] // BLOCK, -1)
        n_scale_bytes = self.n_scales * self.format.scale_bytes
        stored = np.ascontiguousarray(parts[:, :, :n_scale_bytes]).view(f"<f{self.format.scale_bytes}")
        codes = parts[:, :, n_scale_bytes:]
        if self.format.neighbours_share_byte and self.block_type != "q8_0":
            codes = halves_share_byte(codes)
        return self._checked(stored.astype(np.float32)), codes

    def _checked(self, scales: NDArray[np.float32]) -> NDArray[np.float32]:
        """ConversionError for scales that no model has.

        The first week's files had the scales of a row before its codes, under the same version; read as blocks, codes
        turn up as scales, and out of many some are beyond all bounds.
        """
        if not np.all(np.abs(scales) < HALF_OVERFLOW):
            raise ConversionError(
                f"[{self.file}] {self.name}: expected scales below {HALF_OVERFLOW:.0f}, got one that is larger or not"
                " finite; it is damaged, or older than the layout of blocks (March 2023): download it again, or"
                " convert the original checkpoint"
            )
        return scales


def halves_share_byte(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """4-bit codes of neighbours in one byte → codes i and i + 16 in one byte. [rows, blocks, 16], as the result."""
    first, second = codes[:, :, :8], codes[:, :, 8:]  # codes 0 … 15 and 16 … 31
    result = np.empty_like(codes)
    result[:, :, 0::2] = (first & 15) | (second << 4)
    result[:, :, 1::2] = (first >> 4) | (second & 0xF0)
    return result

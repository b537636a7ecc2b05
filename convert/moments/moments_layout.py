"""A file of moments as it is written: which tensor lies where, and the header."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import gguf
import numpy as np
from numpy.typing import NDArray

from belle_edge.convert.architectures.mapped_model import Metadata
from belle_edge.convert.gguf_writer import Header, ModelFile, build_header
from belle_edge.convert.moments.correlations import n_packed
from belle_edge.convert.moments.moments_facts import MomentsFacts
from belle_edge.convert.moments.moments_keys import (
    CHUNK_COUNT,
    CHUNK_SIZE,
    CHUNK_TOKENS,
    COUNT_SUFFIX,
    DATASETS,
    ENERGY_SUFFIX,
    GROUPS,
    MOMENTS_SUFFIX,
    OURS,
    VERSION,
)
from belle_edge.convert.moments.weight_sample import WeightSample

_Code = TypeVar("_Code", np.float32, np.int16)
_Type = gguf.GGMLQuantizationType
_TYPES = {"<f4": int(_Type.F32), "<i2": int(_Type.I16)}


@dataclass(frozen=True)
class MatrixGroup:
    """Matrices that have one input."""

    name: str  # "blk.0.attn_q"
    matrices: tuple[str, ...]  # "blk.0.attn_q.weight", …
    n_columns: int


@dataclass(frozen=True)
class FileEntry:
    """A tensor of the file."""

    name: str
    n_values: int
    dtype: str  # "<f4" or "<i2"

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.n_values,)

    @property
    def ggml_id(self) -> int:
        return _TYPES[self.dtype]

    @property
    def n_bytes(self) -> int:
        return self.n_values * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class MomentsLayout:
    """Everything about a file but its data."""

    header: Header
    groups: tuple[MatrixGroup, ...]
    entries: tuple[FileEntry, ...]
    has_full: bool

    @classmethod
    def of(
        cls,
        groups: Sequence[MatrixGroup],
        facts: MomentsFacts,
        sample: WeightSample,
        *,
        architecture: str,
        full: bool,
    ) -> MomentsLayout:
        """full: whether it has moments, and not energies alone."""
        entries: list[FileEntry] = []
        for group in groups:
            for matrix in group.matrices:
                entries.append(FileEntry(f"{matrix}{ENERGY_SUFFIX}", group.n_columns, "<f4"))
                entries.append(FileEntry(f"{matrix}{COUNT_SUFFIX}", 1, "<f4"))
            if full:
                entries.append(FileEntry(f"{group.name}{MOMENTS_SUFFIX}", n_packed(group.n_columns), "<i2"))
        header = build_header(architecture, _metadata(groups, facts, sample), entries)
        return cls(header, tuple(groups), tuple(entries), full)

    def write(
        self,
        file: ModelFile,
        group: MatrixGroup,
        squares: NDArray[np.float32],
        packed: NDArray[np.int16] | None,
        *,
        n_tokens: int,
    ) -> None:
        """The tensors of a group.

        squares: sums over `n_tokens` tokens, of each column. packed: the moments (correlations.py), where the file has
        them.
        """
        for matrix in group.matrices:
            self._put(file, f"{matrix}{ENERGY_SUFFIX}", squares)
            self._put(file, f"{matrix}{COUNT_SUFFIX}", np.array([n_tokens], dtype="<f4"))
        if packed is not None:
            self._put(file, f"{group.name}{MOMENTS_SUFFIX}", packed)

    def _put(self, file: ModelFile, name: str, values: NDArray[_Code]) -> None:
        place = next(at for at, entry in enumerate(self.entries) if entry.name == name)
        data = values.astype(self.entries[place].dtype, copy=False)
        file.write_at(self.header.offsets[place], data.view(np.uint8).data)


def _metadata(groups: Sequence[MatrixGroup], facts: MomentsFacts, sample: WeightSample) -> Metadata:
    """llama.cpp's keys, then ours."""
    lines = [
        " ".join((group.name, *(matrix.removesuffix(".weight") for matrix in group.matrices)))
        for group in groups
    ]
    return {
        "general.type": "imatrix",
        DATASETS: list(facts.datasets),
        CHUNK_COUNT: max(1, -(-facts.n_tokens // CHUNK_TOKENS)),
        CHUNK_SIZE: CHUNK_TOKENS,
        f"{OURS}version": VERSION,
        f"{OURS}tokens": facts.n_tokens,
        f"{OURS}texts": facts.n_texts,
        f"{OURS}languages": list(facts.languages),
        f"{OURS}token_sha256": facts.token_sha256 or "",
        f"{OURS}model_name": facts.model_name or "",
        GROUPS: lines,
        **sample.metadata(),
    }

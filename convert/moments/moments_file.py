"""Reads second moments of matrices' inputs: our files, and llama.cpp's imatrix files of both kinds.

Ours is an imatrix as well (GGUF, `general.type` imatrix): of each matrix `NAME.weight.in_sum2`, the sums of squares of
its inputs' columns, and `NAME.weight.counts`, the tokens they were summed over. Besides, of each group of matrices that
share an input, `GROUP.moments` (correlations.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from math import isfinite
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from belle_edge import _core
from belle_edge.convert.architectures.mapped_model import MappedTensor
from belle_edge.convert.moments.correlations import unpack
from belle_edge.convert.moments.moments_entries import MomentsEntries, index_of
from belle_edge.convert.moments.moments_facts import MomentsFacts
from belle_edge.convert.moments.moments_keys import (
    CHUNK_COUNT,
    CHUNK_SIZE,
    DATASETS,
    OURS,
)
from belle_edge.convert.moments.old_imatrix import OldImatrix
from belle_edge.convert.moments.weight_sample import MOST_DIFFERENT, WeightSample
from belle_edge.convert.sources.checkpoint_files import require_regular
from belle_edge.convert.sources.gguf.gguf_source import is_gguf
from belle_edge.errors import ConversionError, ModelFormatError, excerpt
from belle_edge.regular_files import open_regular

_READ_BYTES = 1 << 20


class _Content(Protocol):
    """What one kind of file has."""

    @property
    def facts(self) -> MomentsFacts: ...
    @property
    def sample(self) -> WeightSample | None: ...
    @property
    def content_hash(self) -> str: ...
    @property
    def tensor_names(self) -> tuple[str, ...]: ...
    @property
    def has_full(self) -> bool: ...
    def n_columns(self, tensor_name: str) -> int | None: ...
    def energies(self, tensor_name: str) -> NDArray[np.float32] | None: ...
    def moments(self, tensor_name: str) -> NDArray[np.float32] | None: ...
    def group(self, tensor_name: str) -> str: ...


class Moments:
    """Second moments of inputs, by GGUF tensor name ("blk.0.attn_q.weight"). Memory only for what is asked for."""

    def __init__(self, path: Path, content: _Content) -> None:
        self.path, self._content = path, content

    @classmethod
    def open(cls, path: str | Path) -> Moments:
        """A file of `belle-edge calibrate`, an imatrix of llama.cpp, or an old one (.dat).

        Raises ConversionError, in one line, for anything else, and for a damaged one; OSError where it cannot be read.
        """
        place = Path(path).expanduser()
        require_regular(place)
        if not place.is_file():
            raise ConversionError(
                f"[{place}] no such file: expected a file of `belle-edge calibrate`, or an imatrix"
            )
        if place.stat().st_size == 0:
            raise ConversionError(f"[{place.name}] is empty: make it again, or copy it again")
        return cls(place, _GgufContent(place) if is_gguf(place) else _OldContent(place))

    @property
    def facts(self) -> MomentsFacts:
        """Tokens, texts, data and their hashes."""
        return self._content.facts

    @property
    def content_hash(self) -> str:
        """SHA-256 that changes with the content."""
        return self._content.content_hash

    @property
    def has_full(self) -> bool:
        """Whether there is more than the energies of columns."""
        return self._content.has_full

    @property
    def tensor_names(self) -> tuple[str, ...]:
        """The matrices that the file knows, in its order."""
        return self._content.tensor_names

    @property
    def sample(self) -> WeightSample | None:
        """A look at the weights that it was computed with; None of an imatrix."""
        return self._content.sample

    def energies(self, tensor_name: str) -> NDArray[np.float32] | None:
        """Mean square of each input column [n_columns]; None where the file has none for this matrix.

        Raises ConversionError for values that are no energies: the file is damaged.
        """
        found = self._content.energies(tensor_name)
        if found is not None and not (np.isfinite(found).all() and (found >= 0).all()):
            raise ConversionError(
                f"[{self.path.name}] {tensor_name}: a mean of squares is negative or not finite: make the file again"
            )
        return found

    def moments(self, tensor_name: str) -> NDArray[np.float32] | None:
        """mean(x xᵀ) of the input x [n_columns, n_columns], symmetric; None where only energies are there, or nothing.

        Raises as `energies`.
        """
        if self.energies(tensor_name) is None:
            return None
        return self._content.moments(tensor_name)

    def check_model(self, tensors: Sequence[MappedTensor]) -> None:
        """ConversionError where the file is of another model than the one with these tensors.

        It has other shapes, none of its matrices, or weights unlike those that were calibrated. Any form of a model
        passes, down to 8-bit blocks, and one with a smaller vocabulary.
        """
        known = [tensor for tensor in tensors if self._content.n_columns(tensor.name) is not None]
        problem = self._other_shape(known)
        if not known:
            problem = "it has none of the matrices of this model"
        elif problem is None and self.sample is not None:
            different = WeightSample.of(tensors).difference(self.sample)
            if different > MOST_DIFFERENT:
                problem = (
                    f"weights differ by {different:.0%}"
                    if isfinite(different)
                    else "matrices have other shapes"
                )
        if problem is not None:
            name = excerpt(self.facts.model_name or "?")
            raise ConversionError(
                f"[{self.path.name}] is of another model ({name}): {problem}; calibrate this one"
            )

    def _other_shape(self, tensors: Sequence[MappedTensor]) -> str | None:
        """The first matrix whose rows are of another length here."""
        for tensor in tensors:
            n_columns = self._content.n_columns(tensor.name)
            if tensor.shape[-1] != n_columns:
                return (
                    f"{tensor.name} has rows of {tensor.shape[-1]:,} values here, and of {n_columns:,} there"
                )
        return None

    def group(self, tensor_name: str) -> str:
        """The name of the input: matrices with the same one share their moments. Of an imatrix the matrix's own."""
        return self._content.group(tensor_name)


class _GgufContent:
    """A GGUF, ours or llama.cpp's."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = _core.GgufFile(str(path))
            self._entries = index_of(path.name, self._file)
            self.facts = _facts_of(self._file, self._entries)
            self.sample = WeightSample.from_metadata(self._file) if self._entries.is_ours else None
        except ModelFormatError as error:
            raise ConversionError(str(error)) from None
        self._path = path
        self._is_verified = False
        self._hash: str | None = None

    @property
    def content_hash(self) -> str:
        """Of the header, where it has the checksums of all data in it; else of the whole file."""
        if self._hash is None:
            has_checksums = self._file.checksums is not None
            self._hash = _sha256(self._path, self._file.data_offset if has_checksums else None)
        return self._hash

    @property
    def tensor_names(self) -> tuple[str, ...]:
        return tuple(self._entries.counts)

    @property
    def has_full(self) -> bool:
        return self._entries.has_full

    def n_columns(self, tensor_name: str) -> int | None:
        return self._entries.columns.get(tensor_name)

    def energies(self, tensor_name: str) -> NDArray[np.float32] | None:
        count = self._entries.counts.get(tensor_name)
        if not count:  # llama.cpp writes entries of which it saw nothing
            return None
        sums = self._bytes(self._entries.sums[tensor_name]).view("<f4")
        return np.asarray(sums / np.float32(count), dtype=np.float32)

    def moments(self, tensor_name: str) -> NDArray[np.float32] | None:
        name = self._entries.moments.get(tensor_name)
        energies = self.energies(tensor_name)
        return None if name is None or energies is None else unpack(self._bytes(name).view("<i2"), energies)

    def group(self, tensor_name: str) -> str:
        return self._entries.groups.get(tensor_name, tensor_name)

    def _bytes(self, name: str) -> NDArray[np.uint8]:
        """The data of a tensor, once all of the file has been compared with its checksums."""
        try:
            if not self._is_verified:
                self._file.verify_data()
                self._is_verified = True
            return self._file.tensor_bytes(name)
        except ModelFormatError as error:
            raise ConversionError(str(error)) from None


class _OldContent:
    """An old imatrix."""

    has_full = False
    sample = None

    def __init__(self, path: Path) -> None:
        self._path, self._file = path, OldImatrix(path)
        datasets = (base_name(self._file.dataset),) if self._file.dataset else ()
        self.facts = MomentsFacts(
            kind="old imatrix",
            n_tokens=0,  # its chunks have no size
            n_texts=self._file.n_chunks,
            datasets=datasets,
            languages=(),
            token_sha256=None,
            model_name=None,
        )

    @property
    def content_hash(self) -> str:
        return _sha256(self._path, None)

    @property
    def tensor_names(self) -> tuple[str, ...]:
        return tuple(self._file.entries)

    def n_columns(self, tensor_name: str) -> int | None:
        entry = self._file.entries.get(tensor_name)
        return None if entry is None else entry.n_values

    def energies(self, tensor_name: str) -> NDArray[np.float32] | None:
        entry = self._file.entries.get(tensor_name)
        return None if entry is None else self._file.values(entry)

    def moments(self, tensor_name: str) -> NDArray[np.float32] | None:
        return None

    def group(self, tensor_name: str) -> str:
        return tensor_name


def base_name(text: str) -> str:
    """The last part of what may be a path of any system: folders of others are nobody's business."""
    return PureWindowsPath(PurePosixPath(text).name).name


def _facts_of(file: _core.GgufFile, entries: MomentsEntries) -> MomentsFacts:
    n_chunks, size = _number(file, CHUNK_COUNT), _number(file, CHUNK_SIZE)
    counted = max((int(count) for count in entries.counts.values()), default=0)
    return MomentsFacts(
        kind="moments" if entries.is_ours else "imatrix",
        n_tokens=_number(file, f"{OURS}tokens", counted or n_chunks * size),
        n_texts=_number(file, f"{OURS}texts", n_chunks),
        datasets=tuple(base_name(name) for name in _texts(file, DATASETS)),
        languages=_texts(file, f"{OURS}languages"),
        token_sha256=_text(file, f"{OURS}token_sha256"),
        model_name=_text(file, f"{OURS}model_name"),
    )


def _number(file: _core.GgufFile, key: str, default: int = 0) -> int:
    value = file.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else default


def _text(file: _core.GgufFile, key: str) -> str | None:
    value = file.get(key)
    return value if isinstance(value, str) else None


def _texts(file: _core.GgufFile, key: str) -> tuple[str, ...]:
    value = file.get(key)
    return tuple(value) if isinstance(value, list) and all(isinstance(text, str) for text in value) else ()


def _sha256(path: Path, n_bytes: int | None) -> str:
    """Of the first bytes of a file, or of all."""
    digest = hashlib.sha256()
    with open_regular(path) as file:
        left = path.stat().st_size if n_bytes is None else n_bytes
        while left > 0 and (block := file.read(min(left, _READ_BYTES))):
            digest.update(block)
            left -= len(block)
    return digest.hexdigest()

"""Which tensors of a GGUF are energies, counts and moments of which matrices, with every claim checked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from belle_edge import _core
from belle_edge.convert.moments.correlations import n_packed
from belle_edge.convert.moments.moments_keys import (
    COUNT_SUFFIX,
    ENERGY_SUFFIX,
    GROUPS,
    MOMENTS_SUFFIX,
    OURS,
    VERSION,
)
from belle_edge.errors import ConversionError, excerpt

_MOST_COLUMNS = 1 << 17  # of a matrix of moments; twice the widest of a 70B model has 57,344


@dataclass(frozen=True)
class MomentsEntries:
    """By name of a matrix, "blk.0.attn_q.weight"."""

    is_ours: bool
    counts: dict[str, float]  # tokens; 0 where nothing was seen
    columns: dict[str, int]  # of its rows
    sums: dict[str, str]  # the tensor with its sums of squares
    moments: dict[str, str]  # the tensor with its packed correlations
    groups: dict[str, str]

    @property
    def has_full(self) -> bool:
        return bool(self.moments)


def index_of(name: str, file: _core.GgufFile) -> MomentsEntries:
    """The entries of the file `name`. ConversionError for one that is no imatrix, or an inconsistent one."""
    tensors = {tensor.name: tensor for tensor in file.tensors()}
    sums = {
        tensor.removesuffix(ENERGY_SUFFIX): tensor for tensor in tensors if tensor.endswith(ENERGY_SUFFIX)
    }
    if not sums:
        kind = file.get("general.type", "model")
        raise ConversionError(
            f"[{name}] a GGUF of the kind {excerpt(kind)} without any energies ({ENERGY_SUFFIX}): expected a file of"
            " `belle-edge calibrate`, or an imatrix of llama.cpp"
        )
    version = file.get(f"{OURS}version")
    if version is not None and version != VERSION:
        raise ConversionError(
            f"[{name}] moments of version {excerpt(version)}, and this program reads {VERSION}: update belle-edge"
        )
    columns = {matrix: math.prod(tensors[tensor].shape) for matrix, tensor in sums.items()}
    counts = {matrix: _count(name, file, tensors, matrix) for matrix in sums}
    groups = _groups(name, file, sums) if version is not None else {}
    moments = {matrix: f"{group}{MOMENTS_SUFFIX}" for matrix, group in groups.items()}
    moments = {matrix: tensor for matrix, tensor in moments.items() if tensor in tensors}
    for matrix, tensor in moments.items():
        _check_moments(name, tensors[tensor], n_columns=columns[matrix])
    return MomentsEntries(version is not None, counts, columns, sums, moments, groups)


def _count(name: str, file: _core.GgufFile, tensors: dict[str, Any], matrix: str) -> float:
    """How many tokens the sums of a matrix are of."""
    found = tensors.get(f"{matrix}{COUNT_SUFFIX}")
    sums = tensors[f"{matrix}{ENERGY_SUFFIX}"]
    if found is None or found.type != "f32" or sums.type != "f32":
        raise ConversionError(
            f"[{name}] {matrix}: expected sums and counts as f32, found {sums.type} and"
            f" {'none' if found is None else found.type}: make the file again"
        )
    if math.prod(found.shape) != 1:
        raise ConversionError(
            f"[{name}] {matrix}: of {math.prod(found.shape)} experts: it is an imatrix of another architecture"
        )
    count = float(np.frombuffer(file.tensor_bytes(found.name), dtype="<f4")[0])
    if not (math.isfinite(count) and count >= 0):
        raise ConversionError(
            f"[{name}] {matrix}: expected a number of tokens, found {count}: make the file again"
        )
    return count


def _groups(name: str, file: _core.GgufFile, sums: dict[str, str]) -> dict[str, str]:
    """Matrix -> group."""
    lines = file.get(GROUPS)
    if not isinstance(lines, list):
        raise ConversionError(f"[{name}] {GROUPS}: expected a list of names: make the file again")
    groups = {}
    for line in lines:
        group, *matrices = str(line).split(" ")
        for matrix in matrices:
            if f"{matrix}.weight" not in sums:
                raise ConversionError(
                    f"[{name}] {GROUPS} names {excerpt(matrix)}, of which the file has no energies: make it again"
                )
            groups[f"{matrix}.weight"] = group
    return groups


def _check_moments(name: str, tensor: Any, *, n_columns: int) -> None:
    n_values = math.prod(tensor.shape)
    if n_columns > _MOST_COLUMNS or tensor.type != "i16" or n_values != n_packed(n_columns):
        raise ConversionError(
            f"[{name}] {tensor.name}: expected {n_packed(n_columns):,} values of i16 for {n_columns:,} columns, found"
            f" {n_values:,} of {tensor.type}: make the file again"
        )

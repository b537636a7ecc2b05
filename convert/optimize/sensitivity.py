"""What rounding a matrix to a type is estimated to cost in answers: measured once for one type, scaled to the others.

Two things are measured. What rounding costs a matrix itself, for each type: (w - q) H (w - q)ᵀ over w H wᵀ, the error
of its outputs relative to their energy, over some of its rows. And what such an error does to the model, for one type,
the probe: on a few hundred tokens each matrix is rounded alone, and the change of its block's output is taken relative
to that output, token by token. The model with all of them rounded has a divergence from the float model. It is shared
out by these changes. What remains is proportional: twice the error of a matrix costs twice its share.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from belle_edge import _core
from belle_edge.convert.architectures.mapped_model import MappedTensor
from belle_edge.convert.matrix_types import EMBEDDING, HEAD
from belle_edge.convert.moments import Moments
from belle_edge.convert.moments.calibration_source import CalibrationSource
from belle_edge.convert.moments.data_files import bundled_files, data_files
from belle_edge.convert.moments.token_texts import token_texts
from belle_edge.convert.optimize.calibrating import Run
from belle_edge.convert.optimize.lockstep import Blocks, Lockstep, Rows
from belle_edge.convert.optimize.matrix_names import name_among
from belle_edge.convert.optimize.output_energy import output_energy, sampled_rows
from belle_edge.convert.optimize.rounded_rows import rounded_rows, source_rows
from belle_edge.convert.optimize.stage_progress import StageProgress
from belle_edge.convert.reference import ReferenceModel

PROBE = "q4_0"
_TOKENS = 320  # that the probe's effect is measured on


class Sensitivity:
    """What rounding the matrices of one model costs."""

    def __init__(self, shares: Mapping[str, float], moments: Moments, *, is_tied: bool, threads: int) -> None:
        """shares: of each matrix the divergence that the probe's rounding of it is estimated to cost."""
        self._shares, self._moments, self._is_tied, self._threads = shares, moments, is_tied, threads

    @classmethod
    def measured(
        cls, source: CalibrationSource, data: Sequence[Path] | None, moments: Moments, run: Run
    ) -> Sensitivity:
        """Measured on the first few hundred tokens of the data that calibration reads; None: of the bundled texts."""
        model = ReferenceModel(source.tensors, source.metadata, threads=run.threads)
        files = data_files(list(data)) if data else bundled_files()
        texts = token_texts(files, source.encoder, n_tokens=_TOKENS)
        ends = list(accumulate(texts.lengths))
        ids = [texts.ids[end - n : end].tolist() for end, n in zip(ends, texts.lengths, strict=True)]
        shares = _shares(model, ids, StageProgress(run.progress), threads=run.threads)
        return cls(shares, moments, is_tied=HEAD not in model.tensors, threads=run.threads)

    def costs(self, tensor: MappedTensor, types: Sequence[str]) -> dict[str, float]:
        """Type -> the divergence that it is estimated to cost in this matrix."""
        errors = self._relative_errors(tensor, [PROBE, *types])
        scale = self._shares.get(tensor.name, 0.0) / errors[PROBE] if errors[PROBE] > 0 else 0.0
        return {kind: scale * errors[kind] for kind in types}

    def _relative_errors(self, tensor: MappedTensor, types: Sequence[str]) -> dict[str, float]:
        """Of the outputs, by type, each value to the nearest: (w - q) H (w - q)ᵀ over w H wᵀ, of sampled rows."""
        rows = sampled_rows(tensor)
        name = name_among(self._moments, tensor.name, is_tied=self._is_tied)
        energy = output_energy(self._moments, name, threads=self._threads)
        whole, found = energy(rows), {}
        for kind in dict.fromkeys(types):
            data = _core.quantize(rows, kind, threads=self._threads)
            difference = rows - _core.dequantize(data, kind, threads=self._threads)
            found[kind] = energy(difference) / whole if whole > 0 else 0.0
        return found


def _shares(
    model: ReferenceModel, texts: Sequence[Sequence[int]], progress: StageProgress, *, threads: int
) -> dict[str, float]:
    """Matrix -> the divergence that the probe's rounding of it is estimated to cost."""
    probe = _Probe(model, threads=threads)
    lockstep = Lockstep(model, texts, [probe.rows])
    changes = {EMBEDDING: _relative_change(lockstep.reference, lockstep.hidden[0])}
    for layer in progress.layers(model.n_layers, list(model.tensors.values())):
        before = lockstep.reference
        probe.clear()
        lockstep.advance(layer)
        for name in probe.names_of(layer):
            changed = lockstep.run(layer, before, probe.only(name))
            changes[name] = _relative_change(lockstep.reference, changed)
    (blocks,) = lockstep.divergences(with_heads=False)
    total = sum(changes.values())
    shares = {name: blocks * change / total if total > 0 else 0.0 for name, change in changes.items()}
    head = HEAD if HEAD in model.tensors else EMBEDDING
    shares[head] = shares.get(head, 0.0) + lockstep.head_divergence(probe.rows)
    return shares


def _relative_change(expected: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """The squared change of each token's state relative to it, mean of the tokens."""
    change = (found.astype(np.float64) - expected) ** 2
    energy = expected.astype(np.float64) ** 2
    ratios = [
        math.fsum(of_change) / whole
        for of_change, of_state in zip(change.tolist(), energy.tolist(), strict=True)
        if (whole := math.fsum(of_state)) > 0
    ]
    return math.fsum(ratios) / max(1, len(ratios))


class _Probe:
    """Rows rounded to the probe's type; those of the layer at hand are kept, since it is run several times."""

    def __init__(self, model: ReferenceModel, *, threads: int) -> None:
        self._model, self._threads = model, threads
        self._kept: dict[str, list[NDArray[np.float32]]] = {}
        self._sources: dict[str, list[NDArray[np.float32]]] = {}

    def names_of(self, layer: int) -> list[str]:
        """The matrices of a layer that the type fits."""
        names = [name for found in self._model.inputs(layer) for name in found.tensor_names]
        return [name for name in names if self._fits(self._model.tensors[name])]

    def clear(self) -> None:
        """Keep nothing of the layer before."""
        self._kept.clear()
        self._sources.clear()

    def rows(self, tensor: MappedTensor) -> Blocks:
        """Of any matrix: rounded."""
        if not self._fits(tensor):
            return source_rows(tensor)
        rounded = rounded_rows(tensor, PROBE, self._nearest, threads=self._threads)
        return self._from(self._kept, tensor, rounded)

    def only(self, name: str) -> Rows:
        """Of the matrix `name` rounded, of others the source's."""
        return lambda tensor: (
            self.rows(tensor)
            if tensor.name == name
            else self._from(self._sources, tensor, source_rows(tensor))
        )

    def _nearest(self, rows: NDArray[Any]) -> NDArray[np.uint8]:
        return _core.quantize(rows, PROBE, threads=self._threads)

    @staticmethod
    def _fits(tensor: MappedTensor) -> bool:
        return tensor.shape[-1] % _core.BLOCK_SIZE == 0

    @staticmethod
    def _from(kept: dict[str, list[NDArray[np.float32]]], tensor: MappedTensor, blocks: Blocks) -> Blocks:
        """The blocks, kept for the next time, of a layer's matrices; others are too large for that."""
        if tensor.name in (EMBEDDING, HEAD):
            return blocks
        if tensor.name not in kept:
            kept[tensor.name] = list(blocks)
        return iter(kept[tensor.name])

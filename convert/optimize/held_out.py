"""Texts that moments were not computed from, and how far answers to them are from the float model's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from belle_edge import _core
from belle_edge.convert.architectures.mapped_model import MappedTensor, Metadata
from belle_edge.convert.moments.calibrate import held_out_ids
from belle_edge.convert.moments.calibration_source import CalibrationSource
from belle_edge.convert.optimize.lockstep import Blocks, Lockstep
from belle_edge.convert.optimize.matrix_names import quantized_matrices
from belle_edge.convert.optimize.receipt import divergence_entries
from belle_edge.convert.optimize.rounded_rows import rounded_rows, source_rows
from belle_edge.convert.optimize.scaled_tensors import ColumnScales, scaled
from belle_edge.convert.optimize.stage_progress import StageProgress
from belle_edge.convert.optimize.written_rows import WrittenRows
from belle_edge.convert.quantization import PlannedTensor
from belle_edge.convert.reference import ReferenceModel

_TOKENS = {"fast": 256, "best": 2048}  # that are measured on


class HeldOut:
    """The texts of one conversion."""

    def __init__(
        self, source: CalibrationSource, data: Sequence[Path] | None, *, effort: str, progress: StageProgress
    ) -> None:
        """data: the files that calibration reads; None: the bundled ones."""
        self._source, self._data, self._effort, self._progress = source, data, effort, progress

    @cached_property
    def texts(self) -> list[list[int]]:
        """Token ids of each. None where the data has a single text."""
        return held_out_ids(self._source, data=self._data, tokens=_TOKENS[self._effort])

    def measured(
        self,
        planned: Sequence[PlannedTensor],
        scales: ColumnScales,
        written: WrittenRows,
        *,
        threads: int,
    ) -> Metadata:
        """The entries of the receipt about what was written: its divergence, and that of the nearest values.

        scales: of what was written. The float model has them too, since norms are not among what variants replace.
        """
        rounded = {tensor.name: tensor for tensor in quantized_matrices(planned)}

        def of_file(tensor: MappedTensor) -> Blocks:
            return written.blocks(tensor.name, threads=threads)

        tensors = [scales.applied(tensor) for tensor in self._source.tensors]
        model = ReferenceModel(tensors, self._source.metadata, threads=threads)
        nearest_rows = _Nearest(self._source.tensors, rounded, scales, threads=threads)
        lockstep = Lockstep(model, self.texts, [of_file, nearest_rows])
        for layer in self._progress.layers(model.n_layers, self._source.tensors):
            lockstep.advance(layer)
        file, nearest = lockstep.divergences()
        return divergence_entries(n_tokens=len(lockstep.ids), written=file, nearest=nearest)


class _Nearest:
    """The rows as a conversion without optimizing writes them, with the scales that the model at hand has."""

    def __init__(
        self,
        tensors: Sequence[MappedTensor],
        rounded: Mapping[str, PlannedTensor],
        scales: ColumnScales,
        *,
        threads: int,
    ) -> None:
        """tensors: the source's."""
        self._tensors = {tensor.name: tensor for tensor in tensors}
        self._rounded, self._scales, self._threads = rounded, scales, threads

    def __call__(self, tensor: MappedTensor) -> Blocks:
        name, start = tensor.name, 0
        divisors = self._scales.rows.get(name)
        for rows in self._blocks(self._tensors[name]):
            part = None if divisors is None else divisors[start : start + len(rows)]
            yield scaled(rows, self._scales.columns.get(name), part)
            start += len(rows)

    def _blocks(self, tensor: MappedTensor) -> Blocks:
        if tensor.name not in self._rounded:
            return source_rows(tensor)
        kind, threads = self._rounded[tensor.name].type, self._threads
        return rounded_rows(
            tensor, kind, lambda rows: _core.quantize(rows, kind, threads=threads), threads=threads
        )

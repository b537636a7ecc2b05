"""The computation of a calibration: each layer on all tokens, the moments of its inputs, what the next one gets."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from belle_edge.convert.gguf_writer import ModelFile
from belle_edge.convert.journal import Journal
from belle_edge.convert.moments.hidden_states import HiddenStates
from belle_edge.convert.moments.input_sums import InputSums
from belle_edge.convert.moments.moments_layout import MatrixGroup, MomentsLayout
from belle_edge.convert.moments.token_texts import TokenTexts
from belle_edge.convert.progress import ConversionProgress, ProgressCallback
from belle_edge.convert.reference import ReferenceModel
from belle_edge.errors import ConversionError

_HEAD = "output"  # the input of the last matrix, also where that is the embedding


def groups_of(model: ReferenceModel) -> list[MatrixGroup]:
    """Every input of the model, in the order in which they are computed."""
    inputs = [found for layer in range(model.n_layers) for found in model.inputs(layer)]
    groups = [
        MatrixGroup(found.name, found.tensor_names, model.tensors[found.tensor_names[0]].shape[1])
        for found in inputs
    ]
    return [*groups, MatrixGroup(_HEAD, (model.head_name,), model.width)]


@dataclass
class CalibrationRun:
    """One calibration at work."""

    model: ReferenceModel
    texts: TokenTexts
    layout: MomentsLayout
    file: ModelFile
    journal: Journal
    states: HiddenStates
    threads: int
    progress: ProgressCallback | None
    _sums: dict[str, InputSums] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._groups = {group.name: group for group in self.layout.groups}
        self._bytes = {group.name: self._source_bytes(group) for group in self.layout.groups}
        self._done_bytes = 0

    def compute(self, *, resume: bool) -> None:
        """Everything; with `resume` from the layer on that an earlier run was at."""
        n_done, hidden = (self._kept() if resume else None) or (0, self.model.embed(self.texts.ids))
        self._done_bytes = sum(self._bytes[name] for name in self._inputs_before(n_done))
        for layer in range(n_done, self.model.n_layers):
            hidden = self.model.run(layer, hidden, self.texts.lengths, observe=self._observe)
            self.journal.record()
            self.states.save(layer + 1, hidden)
        self._observe(_HEAD, self.model.head_input(hidden))

    def _kept(self) -> tuple[int, NDArray[np.float32]] | None:
        """(finished layers, what came out of them) where the moments of these layers are in the file."""
        kept = self.states.load()
        is_whole = kept is not None and self.journal.tensors.issuperset(self._inputs_before(kept[0]))
        return kept if is_whole else None

    def _inputs_before(self, layer: int) -> list[str]:
        return [found.name for before in range(layer) for found in self.model.inputs(before)]

    def _observe(self, name: str, x: NDArray[np.float32]) -> None:
        """Take in the input of a group, for some tokens or for all."""
        group = self._groups[name]
        if name not in self._sums:
            self._sums[name] = InputSums(group.n_columns, full=self.layout.has_full)
        self._sums[name].add(x, threads=self.threads)
        if self._sums[name].n_tokens == self.texts.n_tokens:
            self._finish(group, self._sums.pop(name))

    def _finish(self, group: MatrixGroup, sums: InputSums) -> None:
        """All tokens' inputs of a group are in."""
        squares = sums.squares()
        if not np.isfinite(squares).all():
            raise ConversionError(
                f"[{group.name}] the inputs of this matrix are infinite or NaN: the model's weights are damaged, or too"
                " large for float32"
            )
        packed = sums.packed() if self.layout.has_full else None
        self.layout.write(self.file, group, squares, packed, n_tokens=self.texts.n_tokens)
        self.journal.note_tensor(group.name)
        self._done_bytes += self._bytes[group.name]
        if self.progress is not None:
            self.progress(ConversionProgress(group.name, self._done_bytes, sum(self._bytes.values())))

    def _source_bytes(self, group: MatrixGroup) -> int:
        return sum(self.model.tensors[name].source.n_bytes for name in group.matrices)

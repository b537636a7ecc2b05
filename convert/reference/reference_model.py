"""A model of any source, computed in float32 layer by layer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from belle_edge.convert.architectures.mapped_model import MappedModel, MappedTensor
from belle_edge.convert.reference.bloom_layer import BLOOM
from belle_edge.convert.reference.layer_steps import LayerSteps
from belle_edge.convert.reference.llama_layer import LLAMA
from belle_edge.convert.reference.model_inputs import ModelInput, Observe, layer_inputs
from belle_edge.convert.reference.model_shape import ModelShape
from belle_edge.convert.reference.past_tokens import PastTokens
from belle_edge.convert.reference.streamed_matrices import Floats, Rows, StreamedMatrices
from belle_edge.convert.sources.gguf.gguf_source import GgufSource
from belle_edge.errors import ConversionError
from belle_edge.text.vocabulary import Metadata

_ARCHITECTURES: Mapping[str, LayerSteps] = {"bloom": BLOOM, "llama": LLAMA}
_EMBEDDING, _HEAD = "token_embd", "output"
_TOKENS = 4096  # that go through a layer together: half a GB of activations for 7B parameters


class ReferenceModel:
    """The tensors of a checkpoint or a GGUF as a float model. Rows are read when they are multiplied, each time anew.

    Every result has the same bits on every machine and for any `threads`, and a text's do not depend on other texts.
    Hidden states are [n, width]: the tokens of several texts one behind the other, with the texts' `lengths`.
    """

    def __init__(
        self,
        tensors: Mapping[str, MappedTensor] | Iterable[MappedTensor],
        metadata: Metadata,
        *,
        threads: int = 0,
    ) -> None:
        """tensors: all of the model. metadata: at least the architecture's, under GGUF's keys.

        threads: 0 = every usable processor. Raises ConversionError for an architecture, a feature or a tensor that is
        not computed here, and for one that is missing or has another shape.
        """
        listed = tensors.values() if isinstance(tensors, Mapping) else tensors
        self.tensors: Mapping[str, MappedTensor] = {tensor.name: tensor for tensor in listed}
        self.shape = ModelShape.of(metadata)
        self._steps = _ARCHITECTURES[self.shape.architecture]
        self._check_tensors()
        self._weights = StreamedMatrices(self.tensors, threads=threads)

    @classmethod
    def of(cls, source: MappedModel | GgufSource, *, threads: int = 0) -> ReferenceModel:
        """The model of a checkpoint that was mapped, or of a GGUF that was opened. Raises as the constructor."""
        if isinstance(source, MappedModel):
            return cls(source.tensors, source.metadata, threads=threads)
        tensors = [MappedTensor(tensor.name, tensor) for tensor in source.tensors]
        return cls(tensors, source.file, threads=threads)

    @property
    def n_layers(self) -> int:
        return self.shape.n_layers

    @property
    def width(self) -> int:
        """Of the hidden states."""
        return self.shape.width

    @property
    def head_name(self) -> str:
        """The matrix that gives the logits: the embedding where the two are tied."""
        return f"{_HEAD if f'{_HEAD}.weight' in self.tensors else _EMBEDDING}.weight"

    @property
    def n_vocab(self) -> int:
        """Logits of a token."""
        return self.tensors[self.head_name].shape[0]

    def inputs(self, layer: int) -> list[ModelInput]:
        """The inputs of a layer's matrices, in the order in which they are computed."""
        return layer_inputs(layer, self._steps.inputs)

    def embed(self, ids: Sequence[int] | NDArray[Any], *, rows: Rows | None = None) -> Floats:
        """Token ids [n] -> hidden states [n, width] in front of the first layer. ValueError for an id out of range.

        rows: gives other rows than the source's, here and in the other methods; see `Rows`.
        """
        places, n_rows = np.asarray(ids, dtype=np.intp), self.tensors[f"{_EMBEDDING}.weight"].shape[0]
        bad = places[(places < 0) | (places >= n_rows)]
        if bad.size:
            raise ValueError(f"[embed] token id {bad[0]}: expected 0 to {n_rows - 1}")
        hidden = self._weights.gather(f"{_EMBEDDING}.weight", places, rows)
        if self._steps.embedding_norm is None:
            return hidden
        return self._norm(hidden, self._steps.embedding_norm)

    def run(
        self,
        layer: int,
        hidden: Floats,
        lengths: Sequence[int],
        *,
        observe: Observe | None = None,
        rows: Rows | None = None,
        past: PastTokens | None = None,
    ) -> Floats:
        """Hidden states through one layer.

        lengths: tokens of each text. observe(name, x) is told the input of each group of matrices before they multiply
        it, several times where there are many tokens: x [some tokens, columns]. With `rows` all tokens go through a
        matrix together, so that `observe` has been told of all of an input before `rows` is asked for its matrices;
        without, memory does not grow with their number.

        past: keeps keys and values, so that the tokens may go on behind earlier ones of their texts; they go through
        together, too. Call its `advance` behind the last layer.
        """
        if sum(lengths) != len(hidden):
            raise ValueError(f"[run] lengths: expected {len(hidden)} tokens together, got {sum(lengths)}")
        out = np.array(hidden, dtype=np.float32)
        groups = _text_groups(lengths) if rows is None and past is None else [list(lengths)]
        start = 0
        for group in groups:
            stop = start + sum(group)
            if stop > start:
                self._run_group(layer, out[start:stop], group, observe, rows, past)
            start = stop
        return out

    def head_input(self, hidden: Floats) -> Floats:
        """Hidden states behind the last layer -> the input of the last matrix."""
        return self._norm(hidden, "output_norm")

    def logits(self, x: Floats, *, rows: Rows | None = None) -> Floats:
        """`head_input` [n, width] -> logits [n, n_vocab]"""
        return self._weights.product(x, self.head_name.removesuffix(".weight"), rows)

    def _norm(self, x: Floats, name: str) -> Floats:
        return self._steps.norm(self._weights, self.shape, x, name)

    def _run_group(
        self,
        layer: int,
        hidden: Floats,
        lengths: Sequence[int],
        observe: Observe | None,
        rows: Rows | None,
        past: PastTokens | None,
    ) -> None:
        self._steps.run_layer(
            self._weights,
            self.shape,
            layer,
            hidden,
            lengths,
            observe=observe or _nobody,
            rows=rows,
            past=past,
        )

    def _check_tensors(self) -> None:
        """All that are computed with, in their shapes, and no other."""
        required = self._required_shapes()
        optional: dict[str, tuple[int, ...]] = {}
        for name, size in required.items():
            if len(size) == 2:
                optional[f"{name.removesuffix('.weight')}.bias"] = size[:1]
        if self.head_name not in required:
            optional[self.head_name] = (self.n_vocab, self.width)
        missing = required.keys() - self.tensors.keys()
        unknown = self.tensors.keys() - required.keys() - optional.keys()
        if missing or unknown:
            raise ConversionError(
                f"[{min(missing or unknown)}] this tensor is {'missing' if missing else 'not computed here'}:"
                f" expected those of {self.shape.architecture}"
            )
        for name, size in (optional | required).items():
            if name in self.tensors and self.tensors[name].shape != size:
                found = self.tensors[name].shape
                raise ConversionError(f"[{name}] expected shape {list(size)}, found {list(found)}")

    def _required_shapes(self) -> dict[str, tuple[int, ...]]:
        steps, shape = self._steps, self.shape
        embedding = self.tensors.get(f"{_EMBEDDING}.weight")
        n_rows = embedding.shape[0] if embedding is not None else 0
        required: dict[str, tuple[int, ...]] = {f"{_EMBEDDING}.weight": (n_rows, shape.width)}
        required |= steps.norm_shapes(shape, "output_norm")
        if steps.embedding_norm is not None:
            required |= steps.norm_shapes(shape, steps.embedding_norm)
        for layer in range(shape.n_layers):
            required |= {f"blk.{layer}.{name}": size for name, size in steps.layer_shapes(shape).items()}
        return required


def _text_groups(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Whole texts, as many as have _TOKENS together."""
    group: list[int] = []
    for length in lengths:
        if group and sum(group) + length > _TOKENS:
            yield group
            group = []
        group.append(length)
    if group:
        yield group


def _nobody(name: str, x: Floats) -> None:
    """Nobody looks at inputs."""

"""What the file of an architecture provides: its tensors, and how hidden states go through a layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from belle_edge.convert.reference.model_inputs import Observe
from belle_edge.convert.reference.model_shape import ModelShape
from belle_edge.convert.reference.past_tokens import PastTokens
from belle_edge.convert.reference.streamed_matrices import Floats, Rows, StreamedMatrices

Shapes = Mapping[str, tuple[int, ...]]


class RunLayer(Protocol):
    def __call__(
        self,
        weights: StreamedMatrices,
        shape: ModelShape,
        layer: int,
        hidden: Floats,
        lengths: Sequence[int],
        *,
        observe: Observe,
        rows: Rows | None,
        past: PastTokens | None = None,
    ) -> None:
        """hidden [n, width], in place. past: what stands before the tokens of each text, and gets theirs."""


@dataclass(frozen=True)
class LayerSteps:
    """One architecture."""

    inputs: Sequence[Sequence[str]]  # matrices of a layer that share an input, in the order of their inputs
    embedding_norm: str | None  # what the embeddings go through
    layer_shapes: Callable[[ModelShape], Shapes]  # tensors of a layer that must exist
    norm_shapes: Callable[[ModelShape, str], Shapes]  # tensors of the norm of this name
    norm: Callable[[StreamedMatrices, ModelShape, Floats, str], Floats]  # of x [n, width]
    run_layer: RunLayer

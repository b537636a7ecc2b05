"""One float model and variants of it with other rows, side by side layer by layer, so that each row is read once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from belle_edge.convert.architectures.mapped_model import MappedTensor
from belle_edge.convert.reference import ReferenceModel
from belle_edge.divergence import kl_divergence, log_softmax

Blocks = Iterator[NDArray[Any]]
Rows = Callable[[MappedTensor], Blocks]  # of a matrix, some at a time, in the order of the file
_LOGIT_BYTES = 256 << 20  # of one model's logits at a time


class Lockstep:
    """A model on texts: the hidden states of the float model, and of each variant."""

    def __init__(
        self, model: ReferenceModel, texts: Sequence[Sequence[int]], variants: Sequence[Rows]
    ) -> None:
        """texts: token ids of each."""
        self._model, self._variants = model, variants
        self.lengths = [len(text) for text in texts]
        self.ids = np.concatenate([np.asarray(text, dtype=np.int32) for text in texts])
        self.reference = model.embed(self.ids)
        self.hidden = [model.embed(self.ids, rows=rows) for rows in variants]

    def advance(self, layer: int) -> None:
        """All of them through one layer."""
        pairs = zip(self.hidden, self._variants, strict=True)
        self.hidden = [self.run(layer, hidden, rows) for hidden, rows in pairs]
        self.reference = self.run(layer, self.reference)

    def run(self, layer: int, hidden: NDArray[np.float32], rows: Rows | None = None) -> NDArray[np.float32]:
        """Hidden states [tokens, width] through one layer, with these rows or the source's."""
        return self._model.run(layer, hidden, self.lengths, rows=rows)

    def divergences(self, *, with_heads: bool = True) -> list[float]:
        """Mean KL divergence of each variant's next tokens from the float model's, in nats.

        with_heads: whether the variants' output matrices have their own rows, too.
        """
        heads = self._variants if with_heads else [None] * len(self._variants)
        return self._from_reference(self.hidden, heads)

    def head_divergence(self, rows: Rows) -> float:
        """That of the float model with these rows of its output matrix."""
        return self._from_reference([self.reference], [rows])[0]

    def _from_reference(
        self, states: Sequence[NDArray[np.float32]], heads: Sequence[Rows | None]
    ) -> list[float]:
        model = self._model
        reference, *others = (model.head_input(state) for state in (self.reference, *states))
        sums = [0.0] * len(others)
        step = max(1, _LOGIT_BYTES // (4 * model.n_vocab))
        for start in range(0, len(self.ids), step):
            part = slice(start, start + step)
            expected = model.logits(reference[part])
            for place, (state, rows) in enumerate(zip(others, heads, strict=True)):
                sums[place] += _divergence(expected, model.logits(state[part], rows=rows))
        return [total / len(self.ids) for total in sums]


def _divergence(expected: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """The sum over tokens, one by one: probabilities in double precision take much room."""
    return sum(
        float(kl_divergence(log_softmax(expected[i : i + 1]), log_softmax(found[i : i + 1]))[0])
        for i in range(len(expected))
    )

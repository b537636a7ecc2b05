"""Attention of new tokens to all of their text: keys and values of those before are kept, not computed again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from belle_edge._core import dense
from belle_edge.convert.reference.streamed_matrices import Floats


class PastTokens:
    """Keys and values of several texts, layer by layer. A layer's results are what they are for the whole texts."""

    def __init__(self, n_texts: int) -> None:
        self.lengths = [0] * n_texts  # tokens of each that went through all layers
        self._kept: dict[int, list[tuple[Floats, Floats]]] = {}  # of a layer, for each text

    def positions(self, lengths: Sequence[int]) -> NDArray[np.uint32]:
        """Of the new tokens, `lengths` of each text."""
        pairs = zip(self.lengths, lengths, strict=True)
        return np.concatenate([np.arange(past, past + new, dtype=np.uint32) for past, new in pairs])

    def attention(
        self, layer: int, q: Floats, k: Floats, v: Floats, lengths: Sequence[int], **settings: Any
    ) -> Floats:
        """`dense.attention` of new tokens: q [n, n_heads * dim], k and v [n, n_kv_heads * dim], n = sum(lengths)."""
        ends = np.cumsum(lengths)[:-1]
        new = list(zip(np.split(k, ends), np.split(v, ends), strict=True))
        kept = self._kept.get(layer)
        if kept is not None:
            new = [
                (np.concatenate((old_k, new_k)), np.concatenate((old_v, new_v)))
                for (old_k, old_v), (new_k, new_v) in zip(kept, new, strict=True)
            ]
        self._kept[layer] = new
        whole = [len(keys) for keys, _ in new]
        queries = np.zeros((sum(whole), q.shape[1]), np.float32)  # older ones count for nothing
        places = self._places(whole, lengths)
        queries[places] = q
        keys, values = (np.concatenate([pair[part] for pair in new]) for part in (0, 1))
        return np.ascontiguousarray(dense.attention(queries, keys, values, lengths=whole, **settings)[places])

    def advance(self, lengths: Sequence[int]) -> None:
        """The new tokens went through all layers."""
        self.lengths = [past + new for past, new in zip(self.lengths, lengths, strict=True)]

    @staticmethod
    def _places(whole: Sequence[int], lengths: Sequence[int]) -> NDArray[np.intp]:
        """Of the new tokens among all."""
        ends = np.cumsum(whole)
        return np.concatenate(
            [np.arange(end - new, end, dtype=np.intp) for end, new in zip(ends, lengths, strict=True)]
        )


def attention(
    past: PastTokens | None,
    layer: int,
    q: Floats,
    k: Floats,
    v: Floats,
    lengths: Sequence[int],
    **settings: Any,
) -> Floats:
    """`dense.attention` of whole texts, or of tokens behind those of `past`."""
    if past is None:
        return dense.attention(q, k, v, lengths=lengths, **settings)
    return past.attention(layer, q, k, v, lengths, **settings)

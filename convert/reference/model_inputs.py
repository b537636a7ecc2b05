"""The inputs of a model's matrices: which matrices share one, and who is told of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Observe = Callable[[str, NDArray[np.float32]], None]  # name of an input, and its rows [tokens, columns]


@dataclass(frozen=True)
class ModelInput:
    """What one or several matrices multiply."""

    name: str  # "blk.0.attn_q": of the first of them
    tensor_names: tuple[str, ...]  # "blk.0.attn_q.weight", "blk.0.attn_k.weight", "blk.0.attn_v.weight"


def layer_inputs(layer: int, groups: Sequence[Sequence[str]]) -> list[ModelInput]:
    """groups: matrices of a layer that share an input, without the layer's prefix."""
    return [
        ModelInput(f"blk.{layer}.{group[0]}", tuple(f"blk.{layer}.{part}.weight" for part in group))
        for group in groups
    ]

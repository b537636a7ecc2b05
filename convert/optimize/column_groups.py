"""Inputs whose columns may be scaled: what makes them is a norm, or rows of a matrix that nothing bends in between.

A column of the matrices may be multiplied with any number if what makes that column is divided by it: the model's
answers stay what they are. GELU bends, so that nothing makes up for it behind BLOOM's ffn_up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from belle_edge.convert.matrix_types import HEAD
from belle_edge.convert.reference.model_shape import ModelShape


@dataclass(frozen=True)
class Carrier:
    """A norm, a matrix or a bias that is divided."""

    name: str
    start: int = 0  # its row, in the order of the file, that makes the first channel


@dataclass(frozen=True)
class ColumnGroup:
    """Matrices that share an input, and what makes it. All columns of a channel have one scale."""

    matrices: tuple[str, ...]
    carriers: tuple[Carrier, ...]
    channels: NDArray[np.intp]  # of each column

    @property
    def n_channels(self) -> int:
        return int(self.channels.max()) + 1


def column_groups(shape: ModelShape, names: Collection[str]) -> list[ColumnGroup]:
    """Of a model with tensors of these names: layer by layer, the output matrix last."""
    of_layer = _llama_groups if shape.architecture == "llama" else _bloom_groups
    groups = [group for layer in range(shape.n_layers) for group in of_layer(shape, f"blk.{layer}.", names)]
    if HEAD in names:
        groups.append(_behind_norm(shape, "output_norm", (HEAD,), names))
    return groups


def _llama_groups(shape: ModelShape, block: str, names: Collection[str]) -> Iterator[ColumnGroup]:
    yield _behind_norm(shape, f"{block}attn_norm", _weights(block, "attn_q", "attn_k", "attn_v"), names)
    yield ColumnGroup(
        _weights(block, "attn_output"), _carriers(f"{block}attn_v", names), _value_channels(shape)
    )
    yield _behind_norm(shape, f"{block}ffn_norm", _weights(block, "ffn_gate", "ffn_up"), names)
    yield ColumnGroup(
        _weights(block, "ffn_down"), _carriers(f"{block}ffn_up", names), np.arange(shape.feed_forward)
    )


def _bloom_groups(shape: ModelShape, block: str, names: Collection[str]) -> Iterator[ColumnGroup]:
    yield _behind_norm(shape, f"{block}attn_norm", _weights(block, "attn_qkv"), names)
    values = _carriers(f"{block}attn_qkv", names, start=2 * shape.width)  # behind queries and keys
    yield ColumnGroup(_weights(block, "attn_output"), values, np.arange(shape.width))
    yield _behind_norm(shape, f"{block}ffn_norm", _weights(block, "ffn_up"), names)


def _behind_norm(
    shape: ModelShape, norm: str, matrices: tuple[str, ...], names: Collection[str]
) -> ColumnGroup:
    return ColumnGroup(matrices, _carriers(norm, names), np.arange(shape.width))


def _weights(block: str, *parts: str) -> tuple[str, ...]:
    return tuple(f"{block}{part}.weight" for part in parts)


def _carriers(part: str, names: Collection[str], *, start: int = 0) -> tuple[Carrier, ...]:
    """The weight, and the bias where there is one."""
    return tuple(Carrier(name, start) for name in (f"{part}.weight", f"{part}.bias") if name in names)


def _value_channels(shape: ModelShape) -> NDArray[np.intp]:
    """Of each column of attn_output the row of attn_v: query heads share the values of one head."""
    columns = np.arange(shape.q_width)
    sharing = shape.n_heads // shape.n_kv_heads
    head = columns // shape.head_dim // sharing
    return np.asarray(head * shape.head_dim + columns % shape.head_dim)

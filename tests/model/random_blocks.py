"""Matrices of random blocks of any quantized type: every code and scale, values of a sensible size."""

from __future__ import annotations

import gguf
import numpy as np
from numpy.typing import NDArray

from belle_edge import _core

from .gguf_models import GgufModel

SIZE = 0.15  # root mean square of the weights, as in gguf_models.py


def random_blocks(type: str, n_rows: int, n_cols: int, *, seed: int = 1) -> NDArray[np.uint8]:
    """[n_rows, bytes per row]. Scale and minimum differ from block to block; on average the weights are 0."""
    kind = _core.weight_types()[type]
    random = np.random.default_rng(seed)
    n_blocks = n_rows * n_cols // kind["block_size"]
    blocks = random.integers(0, 256, (n_blocks, kind["block_bytes"]), dtype=np.uint8)
    jitter = random.uniform(0.75, 1.25, size=n_blocks)
    scale, offset = 1.0, 0.0
    if len(kind["scale_offsets"]) == 2:
        mean = float(values(set_halves(blocks, type, [1.0, 0.0]), type).mean())
        offset = -mean / float(values(set_halves(blocks, type, [0.0, 1.0]), type).mean())
    spread = float(np.sqrt(np.square(values(set_halves(blocks, type, [scale, offset]), type)).mean()))
    set_halves(blocks, type, [scale / spread * SIZE * jitter, offset / spread * SIZE * jitter])
    return blocks.reshape(n_rows, -1)


def set_halves(
    blocks: NDArray[np.uint8], type: str, halves: list[float] | list[NDArray[np.float64]]
) -> NDArray[np.uint8]:
    """The blocks with these scales and, where the type has one, these minima."""
    for at, half in zip(_core.weight_types()[type]["scale_offsets"], halves, strict=False):
        numbers = np.broadcast_to(np.asarray(half), (len(blocks),)).astype("<f2")
        blocks[:, at : at + 2] = numbers.view(np.uint8).reshape(-1, 2)
    return blocks


def values(rows: NDArray[np.uint8], type: str) -> NDArray[np.float32]:
    """What the `gguf` package makes of them."""
    kind = gguf.GGMLQuantizationType(_core.weight_types()[type]["ggml_id"])
    return np.asarray(gguf.quants.dequantize(rows, kind), dtype=np.float32)


def in_blocks(model: GgufModel, *types: str) -> tuple[GgufModel, GgufModel]:
    """A model of the same shapes with random blocks, the types by turns; and one of their values in float32."""
    blocks = GgufModel(model.architecture, model.metadata, {}, {}, model.extra)
    floats = GgufModel(model.architecture, model.metadata, {}, {}, model.extra)
    names = [name for name, tensor in model.tensors.items() if tensor.ndim == 2]
    for name, tensor in model.tensors.items():
        floats.tensors[name] = tensor
        if tensor.ndim == 1:
            blocks.tensors[name] = tensor
            continue
        index = names.index(name)
        type = types[index % len(types)]
        rows = random_blocks(type, *tensor.shape, seed=index)
        blocks.raw[name] = (gguf.GGMLQuantizationType[type.upper()], rows)
        floats.tensors[name] = values(rows, type)
    return blocks, floats

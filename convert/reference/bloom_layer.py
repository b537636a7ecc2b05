"""BLOOM in float32 (Le Scao et al. 2022): LayerNorm, ALiBi, queries, keys and values in one matrix, GELU, biases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from belle_edge._core import dense
from belle_edge.convert.reference.layer_steps import LayerSteps
from belle_edge.convert.reference.model_inputs import Observe
from belle_edge.convert.reference.model_shape import ModelShape
from belle_edge.convert.reference.past_tokens import PastTokens, attention
from belle_edge.convert.reference.streamed_matrices import Floats, Rows, StreamedMatrices


def layer_shapes(shape: ModelShape) -> dict[str, tuple[int, ...]]:
    """Tensors of a layer that must exist."""
    matrices = {
        "attn_qkv": (3 * shape.width, shape.width),
        "attn_output": (shape.width, shape.width),
        "ffn_up": (shape.feed_forward, shape.width),
        "ffn_down": (shape.width, shape.feed_forward),
    }
    shapes: dict[str, tuple[int, ...]] = {}
    for part, size in matrices.items():
        shapes |= {f"{part}.weight": size, f"{part}.bias": size[:1]}
    return shapes | norm_shapes(shape, "attn_norm") | norm_shapes(shape, "ffn_norm")


def norm_shapes(shape: ModelShape, name: str) -> dict[str, tuple[int, ...]]:
    """Tensors of a norm."""
    return {f"{name}.{part}": (shape.width,) for part in ("weight", "bias")}


def norm(weights: StreamedMatrices, shape: ModelShape, x: Floats, name: str) -> Floats:
    """LayerNorm of x [n, width]."""
    weight, bias = (weights.vector(f"{name}.{part}") for part in ("weight", "bias"))
    return dense.layer_norm(x, weight, bias, shape.norm_eps, threads=weights.threads)


def run_layer(
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
    """hidden [n, width], in place."""
    block = f"blk.{layer}."
    x = norm(weights, shape, hidden, f"{block}attn_norm")
    observe(f"{block}attn_qkv", x)
    x = weights.product(x, f"{block}attn_qkv", rows)
    q, k, v = (np.ascontiguousarray(part) for part in np.split(x, 3, axis=1))
    x = attention(
        past,
        layer,
        q,
        k,
        v,
        lengths,
        n_heads=shape.n_heads,
        n_kv_heads=shape.n_heads,
        alibi_slopes=alibi_slopes(shape.n_heads),
        threads=weights.threads,
    )
    del q, k, v
    observe(f"{block}attn_output", x)
    weights.add_product(hidden, x, f"{block}attn_output", rows)

    x = norm(weights, shape, hidden, f"{block}ffn_norm")
    observe(f"{block}ffn_up", x)
    x = dense.gelu(weights.product(x, f"{block}ffn_up", rows), threads=weights.threads)
    observe(f"{block}ffn_down", x)
    weights.add_product(hidden, x, f"{block}ffn_down", rows)


def alibi_slopes(n_heads: int) -> Floats:
    """Press et al. 2022: powers of two for the heads up to a power of two, those between for the others."""
    power = 1 << (n_heads.bit_length() - 1)
    slopes = [2.0 ** (-8 * (head + 1) / power) for head in range(power)]
    slopes += [2.0 ** (-4 * (2 * head + 1) / power) for head in range(n_heads - power)]
    return np.array(slopes, np.float32)


BLOOM = LayerSteps(
    inputs=(("attn_qkv",), ("attn_output",), ("ffn_up",), ("ffn_down",)),
    embedding_norm="token_embd_norm",
    layer_shapes=layer_shapes,
    norm_shapes=norm_shapes,
    norm=norm,
    run_layer=run_layer,
)

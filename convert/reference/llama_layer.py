"""LLaMA in float32 (Touvron et al. 2023): RMSNorm, rotary positions, grouped queries, SwiGLU."""

from __future__ import annotations

from collections.abc import Sequence

from belle_edge._core import dense
from belle_edge.convert.reference.layer_steps import LayerSteps
from belle_edge.convert.reference.model_inputs import Observe
from belle_edge.convert.reference.model_shape import ModelShape
from belle_edge.convert.reference.past_tokens import PastTokens, attention
from belle_edge.convert.reference.streamed_matrices import Floats, Rows, StreamedMatrices


def layer_shapes(shape: ModelShape) -> dict[str, tuple[int, ...]]:
    """Tensors of a layer that must exist."""
    return {
        "attn_norm.weight": (shape.width,),
        "attn_q.weight": (shape.q_width, shape.width),
        "attn_k.weight": (shape.kv_width, shape.width),
        "attn_v.weight": (shape.kv_width, shape.width),
        "attn_output.weight": (shape.width, shape.q_width),
        "ffn_norm.weight": (shape.width,),
        "ffn_gate.weight": (shape.feed_forward, shape.width),
        "ffn_up.weight": (shape.feed_forward, shape.width),
        "ffn_down.weight": (shape.width, shape.feed_forward),
    }


def norm_shapes(shape: ModelShape, name: str) -> dict[str, tuple[int, ...]]:
    """Tensors of a norm outside the layers."""
    return {f"{name}.weight": (shape.width,)}


def norm(weights: StreamedMatrices, shape: ModelShape, x: Floats, name: str) -> Floats:
    """RMSNorm of x [n, width]."""
    return dense.rms_norm(x, weights.vector(f"{name}.weight"), shape.norm_eps, threads=weights.threads)


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
    observe(f"{block}attn_q", x)
    q, k, v = (weights.product(x, f"{block}{part}", rows) for part in ("attn_q", "attn_k", "attn_v"))
    positions = (past or PastTokens(len(lengths))).positions(lengths)
    q, k = (
        dense.rotate(
            heads,
            positions,
            n_heads=n_heads,
            base=shape.rope_base,
            dims=shape.rope_dims,
            scale=shape.rope_scale,
            threads=weights.threads,
        )
        for heads, n_heads in ((q, shape.n_heads), (k, shape.n_kv_heads))
    )
    x = attention(
        past,
        layer,
        q,
        k,
        v,
        lengths,
        n_heads=shape.n_heads,
        n_kv_heads=shape.n_kv_heads,
        threads=weights.threads,
    )
    del q, k, v
    observe(f"{block}attn_output", x)
    weights.add_product(hidden, x, f"{block}attn_output", rows)

    x = norm(weights, shape, hidden, f"{block}ffn_norm")
    observe(f"{block}ffn_gate", x)
    gate = weights.product(x, f"{block}ffn_gate", rows)
    for places, up in weights.outputs(x, f"{block}ffn_up", rows):
        gate[:, places] = dense.silu_product(gate[:, places], up, threads=weights.threads)
    del x
    observe(f"{block}ffn_down", gate)
    weights.add_product(hidden, gate, f"{block}ffn_down", rows)


LLAMA = LayerSteps(
    inputs=(("attn_q", "attn_k", "attn_v"), ("attn_output",), ("ffn_gate", "ffn_up"), ("ffn_down",)),
    embedding_norm=None,
    layer_shapes=layer_shapes,
    norm_shapes=norm_shapes,
    norm=norm,
    run_layer=run_layer,
)

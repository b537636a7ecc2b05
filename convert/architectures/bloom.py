"""BLOOM: BELLE-7B and other BLOOMZ descendants (ALiBi, LayerNorm with biases, fused query-key-value).

Accepts BloomForCausalLM and bare BloomModel names, and the old and new spellings of the configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from belle_edge._core import MAX_HEAD_DIM
from belle_edge.convert.architectures.config_values import EPSILON, ConfigReader
from belle_edge.convert.architectures.mapped_model import (
    MappedModel,
    MappedTensor,
    Metadata,
    Weights,
    head_tensor,
)
from belle_edge.convert.sources.source_tensors import SourceTensor
from belle_edge.errors import ConversionError

NAMES = ("BloomForCausalLM", "BloomModel", "bloom")

# Hugging Face name inside a block → GGUF name inside a block. All have a weight and a bias.
_BLOCK = {
    "input_layernorm": "attn_norm",
    "self_attention.query_key_value": "attn_qkv",
    "self_attention.dense": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.dense_h_to_4h": "ffn_up",
    "mlp.dense_4h_to_h": "ffn_down",
}


def read(config: Mapping[str, Any], tensors: Mapping[str, SourceTensor]) -> MappedModel:
    """Map a BLOOM checkpoint. ConversionError for what a BLOOM GGUF cannot express, or wrong tensors."""
    reader = ConfigReader(config)
    metadata = _metadata(reader)
    hidden = reader.integer("hidden_size", "n_embed")
    n_layers = reader.integer("n_layer", "num_hidden_layers")
    weights = Weights(tensors, prefix="transformer.", ignored_suffixes=())
    n_rows = weights.n_rows("word_embeddings.weight")
    mapped, warning = _tensors(reader, weights, n_rows=n_rows)
    return MappedModel(
        architecture="bloom",
        metadata=metadata,
        tensors=mapped,
        n_vocab_rows=n_rows,
        n_layers=n_layers,
        context_length=_context_length(reader),
        kv_width=hidden,
        warnings=(warning,) if warning else (),
    )


def _metadata(reader: ConfigReader) -> Metadata:
    """llama.cpp's keys for this architecture."""
    if reader.flag("apply_residual_connection_post_layernorm", default=False):
        raise ConversionError(
            "[config.json] apply_residual_connection_post_layernorm: true cannot be expressed in a BLOOM GGUF"
        )
    hidden, n_heads = _width(reader)
    return {
        "bloom.context_length": _context_length(reader),
        "bloom.embedding_length": hidden,
        "bloom.feed_forward_length": 4 * hidden,
        "bloom.block_count": reader.integer("n_layer", "num_hidden_layers"),
        "bloom.attention.head_count": n_heads,
        "bloom.attention.head_count_kv": n_heads,
        "bloom.attention.layer_norm_epsilon": reader.number("layer_norm_epsilon", default=1e-5, **EPSILON),
    }


def _tensors(reader: ConfigReader, weights: Weights, *, n_rows: int) -> tuple[list[MappedTensor], str | None]:
    hidden, n_heads = _width(reader)
    n_outputs = {"attn_qkv": 3 * hidden, "ffn_up": 4 * hidden}
    n_inputs = {"ffn_down": 4 * hidden}

    embedding = weights.take("word_embeddings.weight", shape=(n_rows, hidden))
    mapped = [MappedTensor("token_embd.weight", embedding)]
    mapped += _norm(weights, "word_embeddings_layernorm", "token_embd_norm", hidden)
    for layer in range(reader.integer("n_layer", "num_hidden_layers")):
        for hf_part, part in _BLOCK.items():
            source, target = f"h.{layer}.{hf_part}", f"blk.{layer}.{part}"
            if part.endswith("norm"):
                mapped += _norm(weights, source, target, hidden)
                continue
            n_out, n_in = n_outputs.get(part, hidden), n_inputs.get(part, hidden)
            weight = weights.take(f"{source}.weight", shape=(n_out, n_in))
            order = qkv_row_order(n_heads, hidden // n_heads) if part == "attn_qkv" else None
            mapped += [
                MappedTensor(f"{target}.weight", weight, order),
                MappedTensor(f"{target}.bias", weights.take(f"{source}.bias", shape=(n_out,)), order),
            ]
    mapped += _norm(weights, "ln_f", "output_norm", hidden)
    tied = reader.flag("tie_word_embeddings", default=True)
    head, warning = head_tensor(weights, tied=tied, embedding=embedding, shape=(n_rows, hidden))
    if head is not None:
        mapped.append(MappedTensor("output.weight", head))
    weights.finish()
    return mapped, warning


def qkv_row_order(n_heads: int, head_dim: int) -> NDArray[np.intp]:
    """Source row of each GGUF row.

    BLOOM interleaves [n_heads, (q, k, v), head_dim]; GGUF wants all q, then all k, then all v.
    """
    rows = np.arange(3 * n_heads * head_dim, dtype=np.intp)
    return np.asarray(rows.reshape(n_heads, 3, head_dim).transpose(1, 0, 2).reshape(-1))


def _norm(weights: Weights, source: str, target: str, width: int) -> list[MappedTensor]:
    return [
        MappedTensor(f"{target}.{part}", weights.take(f"{source}.{part}", shape=(width,)))
        for part in ("weight", "bias")
    ]


def _width(reader: ConfigReader) -> tuple[int, int]:
    """(hidden size, number of heads), which must divide."""
    hidden = reader.integer("hidden_size", "n_embed")
    n_heads = reader.integer("n_head", "num_attention_heads")
    if hidden % n_heads:
        raise ConversionError(f"[config.json] hidden size {hidden} is not a multiple of {n_heads} heads")
    if hidden // n_heads > MAX_HEAD_DIM:
        raise ConversionError(
            f"[config.json] {n_heads} heads of {hidden // n_heads}: expected at most {MAX_HEAD_DIM}"
        )
    return hidden, n_heads


def _context_length(reader: ConfigReader) -> int:
    return reader.integer("seq_length", "max_position_embeddings", default=2048)

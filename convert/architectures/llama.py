"""LLaMA: BELLE-LLaMA, BELLE-LLaMA-EXT, BELLE-Llama2 and relatives (RMSNorm, RoPE, GQA, SwiGLU).

Accepts LlamaForCausalLM (2023: LLaMAForCausalLM) and bare LlamaModel names, tied and untied heads, biases.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
from belle_edge.convert.sources.rotary_rows import hf_rows, rotary_row_order
from belle_edge.convert.sources.source_tensors import SourceTensor, to_float32
from belle_edge.errors import ConversionError, excerpt

NAMES = ("LlamaForCausalLM", "LLaMAForCausalLM", "LlamaModel", "LLaMAModel", "llama")

# Hugging Face name inside a block → GGUF name inside a block.
_BLOCK = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


# What the engine accepts (csrc/model/config.cpp).
_ROPE_BASE = {"above": float(np.nextafter(1.0, 0.0)), "below": float(np.finfo(np.float32).max)}
_ROPE_FACTOR = {"above": 1e-6, "below": 1e6}


@dataclass(frozen=True)
class _Shape:
    hidden: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    feed_forward: int
    context_length: int


def read(config: Mapping[str, Any], tensors: Mapping[str, SourceTensor]) -> MappedModel:
    """Map a LLaMA checkpoint. ConversionError for what is not supported here, or tensors that do not fit."""
    reader = ConfigReader(config)
    shape = _shape(reader)
    weights = Weights(tensors, prefix="model.", ignored_suffixes=(".rotary_emb.inv_freq",))
    n_rows = weights.n_rows("embed_tokens.weight")
    mapped, warning = _tensors(reader, weights, shape, n_rows=n_rows)
    return MappedModel(
        architecture="llama",
        metadata={"llama.vocab_size": n_rows, **_metadata(reader, shape)},
        tensors=mapped,
        n_vocab_rows=n_rows,
        n_layers=shape.n_layers,
        context_length=shape.context_length,
        kv_width=shape.n_kv_heads * shape.head_dim,
        warnings=(warning,) if warning else (),
    )


def _metadata(reader: ConfigReader, shape: _Shape) -> Metadata:
    """llama.cpp's keys for this architecture."""
    activation = reader.values.get("hidden_act", "silu")
    if activation != "silu":
        raise ConversionError(f"[config.json] hidden_act: expected silu, got {excerpt(activation)}")
    return {
        "llama.context_length": shape.context_length,
        "llama.embedding_length": shape.hidden,
        "llama.block_count": shape.n_layers,
        "llama.feed_forward_length": shape.feed_forward,
        "llama.attention.head_count": shape.n_heads,
        "llama.attention.head_count_kv": shape.n_kv_heads,
        "llama.attention.key_length": shape.head_dim,
        "llama.attention.value_length": shape.head_dim,
        "llama.attention.layer_norm_rms_epsilon": reader.number("rms_norm_eps", default=1e-6, **EPSILON),
        "llama.rope.dimension_count": shape.head_dim,
        **_rope(reader),
    }


def _rope(reader: ConfigReader) -> Metadata:
    """Rotary settings: transformers 5's `rope_parameters`, or the older `rope_theta` and `rope_scaling`."""
    scaling = {**reader.mapping("rope_scaling"), **reader.mapping("rope_parameters")}
    parameters = ConfigReader({**reader.values, **scaling})
    if parameters.number("partial_rotary_factor", default=1.0) != 1.0:
        raise ConversionError(
            "[config.json] partial_rotary_factor other than 1 is not a LLaMA of llama.cpp's kind"
        )
    metadata: Metadata = {
        "llama.rope.freq_base": parameters.number("rope_theta", default=10000.0, **_ROPE_BASE)
    }
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    if kind == "linear":
        metadata["llama.rope.scaling.type"] = "linear"
        metadata["llama.rope.scaling.factor"] = ConfigReader(scaling).number("factor", **_ROPE_FACTOR)
    elif kind != "default":
        raise ConversionError(
            f"[config.json] rope scaling type {excerpt(kind)} is not supported here (default and linear are);"
            " convert this model with llama.cpp's convert_hf_to_gguf.py and run it with the llama.cpp backend"
        )
    return metadata


def _tensors(
    reader: ConfigReader, weights: Weights, shape: _Shape, *, n_rows: int
) -> tuple[list[MappedTensor], str | None]:
    hidden, q_width, kv_width = (
        shape.hidden,
        shape.n_heads * shape.head_dim,
        shape.n_kv_heads * shape.head_dim,
    )
    sizes = {  # (outputs, inputs)
        "attn_q": (q_width, hidden),
        "attn_k": (kv_width, hidden),
        "attn_v": (kv_width, hidden),
        "attn_output": (hidden, q_width),
        "ffn_gate": (shape.feed_forward, hidden),
        "ffn_up": (shape.feed_forward, hidden),
        "ffn_down": (hidden, shape.feed_forward),
    }
    n_heads = {"attn_q": shape.n_heads, "attn_k": shape.n_kv_heads}
    orders: dict[str, NDArray[np.intp]] = {}  # made once a weight has shown that its size is real
    embedding = weights.take("embed_tokens.weight", shape=(n_rows, hidden))
    mapped = [MappedTensor("token_embd.weight", embedding)]
    for layer in range(shape.n_layers):
        for hf_part, part in _BLOCK.items():
            source, target = f"layers.{layer}.{hf_part}", f"blk.{layer}.{part}"
            if part.endswith("norm"):
                mapped.append(
                    MappedTensor(f"{target}.weight", weights.take(f"{source}.weight", shape=(hidden,)))
                )
                continue
            weight = weights.take(f"{source}.weight", shape=sizes[part])
            if part in n_heads and part not in orders:
                orders[part] = rotary_row_order(n_heads[part], shape.head_dim)
            order = orders.get(part)
            is_ordered = hf_rows(weight) is not None  # in GGUF's order already
            mapped.append(MappedTensor(f"{target}.weight", weight, None if is_ordered else order))
            if f"{source}.bias" in weights:
                bias = weights.take(f"{source}.bias", shape=sizes[part][:1])
                if not _is_zero(bias):
                    mapped.append(MappedTensor(f"{target}.bias", bias, order))
    mapped.append(MappedTensor("output_norm.weight", weights.take("norm.weight", shape=(hidden,))))
    tied = reader.flag("tie_word_embeddings", default=False)
    head, warning = head_tensor(weights, tied=tied, embedding=embedding, shape=(n_rows, hidden))
    if head is not None:
        mapped.append(MappedTensor("output.weight", head))
    weights.finish()
    return mapped, warning


def _is_zero(bias: SourceTensor) -> bool:
    """GPTQ's code gives every matrix a bias, of zeros for a LLaMA, which has none."""
    return not to_float32(bias.rows(0, bias.shape[0])).any()


def _shape(reader: ConfigReader) -> _Shape:
    hidden = reader.integer("hidden_size")
    n_heads = reader.integer("num_attention_heads")
    n_kv_heads = reader.integer("num_key_value_heads", default=n_heads)
    head_dim = reader.integer("head_dim", default=hidden // n_heads)
    if reader.values.get("head_dim") is None and hidden % n_heads:
        raise ConversionError(
            f"[config.json] hidden size {hidden} is not a multiple of {n_heads} heads, and no head_dim"
        )
    if n_heads % n_kv_heads:
        raise ConversionError(
            f"[config.json] {n_heads} heads cannot share {n_kv_heads} key-value heads evenly"
        )
    if head_dim > MAX_HEAD_DIM:
        raise ConversionError(f"[config.json] {n_heads} heads of {head_dim}: expected at most {MAX_HEAD_DIM}")
    if head_dim % 2:
        raise ConversionError(f"[config.json] head_dim {head_dim} is odd; rotary embedding needs pairs")
    return _Shape(
        hidden=hidden,
        n_layers=reader.integer("num_hidden_layers"),
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        head_dim=head_dim,
        feed_forward=reader.integer("intermediate_size"),
        context_length=reader.integer("max_position_embeddings", "max_sequence_length", default=2048),
    )

"""A tiny LLaMA with quantized matrices of the shapes that llama.cpp repacks: for the probe."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

N_TOKENS = 64  # a prompt of this many goes through the kernels for many rows
_N_VOCAB, _HIDDEN, _FEED_FORWARD, _HEADS = 256, 256, 512, 4
_LAYER_TYPES = ("Q4_0", "Q8_0")


def write_probe_model(path: Path) -> None:
    """The same bytes each time."""
    import gguf

    random = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(256)
    writer.add_embedding_length(_HIDDEN)
    writer.add_block_count(len(_LAYER_TYPES))
    writer.add_feed_forward_length(_FEED_FORWARD)
    writer.add_head_count(_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(_N_VOCAB)
    writer.add_tokenizer_model("no_vocab")

    def add_matrix(name: str, n_rows: int, n_cols: int, kind: str) -> None:
        rows: NDArray[np.float32] = random.normal(scale=0.05, size=(n_rows, n_cols)).astype(np.float32)
        type_ = gguf.GGMLQuantizationType[kind]
        writer.add_tensor(f"{name}.weight", gguf.quants.quantize(rows, type_), raw_dtype=type_)

    def add_norm(name: str) -> None:
        writer.add_tensor(f"{name}.weight", np.ones(_HIDDEN, dtype=np.float32))

    add_matrix("token_embd", _N_VOCAB, _HIDDEN, "Q8_0")
    for layer, kind in enumerate(_LAYER_TYPES):
        add_norm(f"blk.{layer}.attn_norm")
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add_matrix(f"blk.{layer}.{name}", _HIDDEN, _HIDDEN, kind)
        add_norm(f"blk.{layer}.ffn_norm")
        add_matrix(f"blk.{layer}.ffn_gate", _FEED_FORWARD, _HIDDEN, kind)
        add_matrix(f"blk.{layer}.ffn_up", _FEED_FORWARD, _HIDDEN, kind)
        add_matrix(f"blk.{layer}.ffn_down", _HIDDEN, _FEED_FORWARD, kind)
    add_norm("output_norm")
    add_matrix("output", _N_VOCAB, _HIDDEN, "Q4_0")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

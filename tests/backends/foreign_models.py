"""Tiny random GGUF files of architectures that only llama.cpp runs, with a byte-level vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

HIDDEN, LAYERS, HEADS, FEED_FORWARD, CONTEXT = 64, 2, 4, 128, 192
MERGES = ["Ġ t", "h e", "Ġt he", "i n", "ä ½", "ä½ ł"]
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n"
)


def byte_alphabet() -> list[str]:
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [value for value in range(256) if value not in printable]
    return [chr(value) for value in printable] + [chr(0x100 + index) for index in range(len(others))]


def tokens() -> list[str]:
    return byte_alphabet() + [merge.replace(" ", "") for merge in MERGES] + CONTROL


class Writer:
    """A GGUF with the vocabulary and the shapes that all of these models share."""

    def __init__(self, path: Path, architecture: str, *, pre: str, type: str, seed: int = 1) -> None:
        self._random = np.random.default_rng(seed)
        self._type = gguf.GGMLQuantizationType[type.upper()]
        self.gguf = gguf.GGUFWriter(path, architecture)
        self.gguf.add_context_length(CONTEXT)
        self.gguf.add_embedding_length(HIDDEN)
        self.gguf.add_block_count(LAYERS)
        texts = tokens()
        normal, control = int(gguf.TokenType.NORMAL), int(gguf.TokenType.CONTROL)
        self.n_vocab = len(texts)
        self.gguf.add_tokenizer_model("gpt2")
        self.gguf.add_tokenizer_pre(pre)
        self.gguf.add_token_list(texts)
        self.gguf.add_token_types([control if text in CONTROL else normal for text in texts])
        self.gguf.add_token_merges(MERGES)
        self.gguf.add_eos_token_id(texts.index("<|im_end|>"))
        self.gguf.add_bos_token_id(texts.index("<|endoftext|>"))
        self.gguf.add_add_bos_token(False)
        self.gguf.add_chat_template(CHAT_TEMPLATE)

    def matrix(self, name: str, n_rows: int, n_cols: int, *, plain: bool = False) -> None:
        rows = self.normal(n_rows, n_cols)
        if plain or self._type == gguf.GGMLQuantizationType.F32:
            self.gguf.add_tensor(f"{name}.weight", rows)
        else:
            data = gguf.quants.quantize(rows, self._type)
            self.gguf.add_tensor(f"{name}.weight", data, raw_dtype=self._type)

    def vector(self, name: str, size: int, *, around: float = 0.0) -> None:
        self.gguf.add_tensor(name, around + self.normal(size))

    def norm(self, name: str) -> None:
        self.vector(f"{name}.weight", HIDDEN, around=1.0)

    def normal(self, *shape: int) -> NDArray[np.float32]:
        return self._random.normal(scale=0.15, size=shape).astype(np.float32)

    def finish(self) -> None:
        self.gguf.write_header_to_file()
        self.gguf.write_kv_data_to_file()
        self.gguf.write_tensors_to_file()
        self.gguf.close()


def write_qwen2(path: Path, type: str = "f32") -> None:
    """Rotary positions, biases on queries, keys and values; a pre-tokenizer that only llama.cpp knows."""
    file = Writer(path, "qwen2", pre="afmoe", type=type)
    file.gguf.add_feed_forward_length(FEED_FORWARD)
    file.gguf.add_head_count(HEADS)
    file.gguf.add_head_count_kv(HEADS // 2)
    file.gguf.add_layer_norm_rms_eps(1e-6)
    file.matrix("token_embd", file.n_vocab, HIDDEN)
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        file.norm(f"{block}.attn_norm")
        for name, n_rows in (("attn_q", HIDDEN), ("attn_k", HIDDEN // 2), ("attn_v", HIDDEN // 2)):
            file.matrix(f"{block}.{name}", n_rows, HIDDEN)
            file.vector(f"{block}.{name}.bias", n_rows)
        file.matrix(f"{block}.attn_output", HIDDEN, HIDDEN)
        file.norm(f"{block}.ffn_norm")
        file.matrix(f"{block}.ffn_gate", FEED_FORWARD, HIDDEN)
        file.matrix(f"{block}.ffn_up", FEED_FORWARD, HIDDEN)
        file.matrix(f"{block}.ffn_down", HIDDEN, FEED_FORWARD)
    file.norm("output_norm")
    file.matrix("output", file.n_vocab, HIDDEN)
    file.finish()


def write_gpt2(path: Path, type: str = "f32") -> None:
    """Learned positions: there is none after the last one."""
    file = Writer(path, "gpt2", pre="gpt-2", type=type)
    file.gguf.add_feed_forward_length(FEED_FORWARD)
    file.gguf.add_head_count(HEADS)
    file.gguf.add_layer_norm_eps(1e-5)

    def norm(name: str) -> None:
        file.norm(name)
        file.vector(f"{name}.bias", HIDDEN)

    def linear(name: str, n_rows: int, n_cols: int) -> None:
        file.matrix(name, n_rows, n_cols)
        file.vector(f"{name}.bias", n_rows)

    file.matrix("token_embd", file.n_vocab, HIDDEN)
    file.matrix("position_embd", CONTEXT, HIDDEN, plain=True)
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        norm(f"{block}.attn_norm")
        linear(f"{block}.attn_qkv", 3 * HIDDEN, HIDDEN)
        linear(f"{block}.attn_output", HIDDEN, HIDDEN)
        norm(f"{block}.ffn_norm")
        linear(f"{block}.ffn_up", FEED_FORWARD, HIDDEN)
        linear(f"{block}.ffn_down", HIDDEN, FEED_FORWARD)
    norm("output_norm")
    file.finish()


def write_mamba(path: Path, type: str = "f32") -> None:
    """A recurrent state instead of a cache: nothing can be cut off it."""
    inner, n_states, n_taps, rank = 2 * HIDDEN, 16, 4, 8
    file = Writer(path, "mamba", pre="gpt-2", type=type)
    file.gguf.add_feed_forward_length(0)
    file.gguf.add_head_count(0)
    file.gguf.add_ssm_conv_kernel(n_taps)
    file.gguf.add_ssm_inner_size(inner)
    file.gguf.add_ssm_state_size(n_states)
    file.gguf.add_ssm_time_step_rank(rank)
    file.gguf.add_layer_norm_rms_eps(1e-5)
    file.matrix("token_embd", file.n_vocab, HIDDEN)
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        file.norm(f"{block}.attn_norm")
        file.matrix(f"{block}.ssm_in", 2 * inner, HIDDEN)
        file.matrix(f"{block}.ssm_conv1d", inner, n_taps, plain=True)
        file.vector(f"{block}.ssm_conv1d.bias", inner)
        file.matrix(f"{block}.ssm_x", rank + 2 * n_states, inner)
        file.matrix(f"{block}.ssm_dt", inner, rank, plain=True)
        file.vector(f"{block}.ssm_dt.bias", inner)
        file.gguf.add_tensor(f"{block}.ssm_a", -np.exp(file.normal(inner, n_states)))
        file.vector(f"{block}.ssm_d", inner, around=1.0)
        file.matrix(f"{block}.ssm_out", HIDDEN, inner)
    file.norm("output_norm")
    file.finish()


def write_bert(path: Path) -> None:
    """An encoder: llama.cpp loads it, but it does not continue a text."""
    file = Writer(path, "bert", pre="gpt-2", type="f32")
    file.gguf.add_feed_forward_length(FEED_FORWARD)
    file.gguf.add_head_count(HEADS)
    file.gguf.add_layer_norm_eps(1e-5)
    file.gguf.add_causal_attention(False)
    file.gguf.add_token_type_count(2)
    file.matrix("token_embd", file.n_vocab, HIDDEN)
    file.matrix("token_types", 2, HIDDEN)
    file.matrix("position_embd", CONTEXT, HIDDEN)
    file.norm("token_embd_norm")
    file.vector("token_embd_norm.bias", HIDDEN)
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            file.matrix(f"{block}.{name}", HIDDEN, HIDDEN)
            file.vector(f"{block}.{name}.bias", HIDDEN)
        for name in ("attn_output_norm", "layer_output_norm"):
            file.norm(f"{block}.{name}")
            file.vector(f"{block}.{name}.bias", HIDDEN)
        file.matrix(f"{block}.ffn_up", FEED_FORWARD, HIDDEN)
        file.vector(f"{block}.ffn_up.bias", FEED_FORWARD)
        file.matrix(f"{block}.ffn_down", HIDDEN, FEED_FORWARD)
        file.vector(f"{block}.ffn_down.bias", HIDDEN)
    file.finish()


WRITERS: dict[str, Callable[[Path, str], None]] = {
    "qwen2": write_qwen2,
    "gpt2": write_gpt2,
    "mamba": write_mamba,
}

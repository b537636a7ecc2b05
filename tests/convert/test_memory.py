"""Anonymous memory stays bounded however large the tensors are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from belle_edge.convert import convert

from .adapters import write_adapter
from .conversion_memory import watched_conversion

pytestmark = pytest.mark.slow


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("dtype", ["F32", "BF16"])
@pytest.mark.parametrize(("type", "lora"), [("q4_0", False), ("f32", False), ("q4_0", True)])
def test_memory_is_bounded(tmp_path: Path, llama_tokenizer: bytes, dtype: str, type: str, lora: bool) -> None:
    """A 400 MB (bf16: 200 MB) embedding and projections of 60 MB, whose rows are permuted."""
    folder, config = write_large_llama(tmp_path / "model", llama_tokenizer, dtype)
    options = {"lora": [str(write_adapter_of(config, tmp_path / "lora"))]} if lora else {}
    result = watched_conversion(folder, tmp_path / "out.gguf", type, **options)
    assert result["source"] > (300e6 if dtype == "F32" else 250e6)
    assert result["growth"] < 200e6
    assert result["peak"] < result["predicted"]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_memory_of_a_quantized_source(tmp_path: Path, llama_tokenizer: bytes) -> None:
    """Blocks of a GGUF become values a few rows at a time."""
    folder, _ = write_large_llama(tmp_path / "model", llama_tokenizer, "BF16")
    convert(folder, tmp_path / "q8_0.gguf", type="q8_0")
    result = watched_conversion(tmp_path / "q8_0.gguf", tmp_path / "out.gguf", "q4_1")
    assert result["source"] > 150e6
    assert result["growth"] < 200e6
    assert result["peak"] < result["predicted"]


def write_large_llama(folder: Path, tokenizer: bytes, dtype: str) -> tuple[Path, dict[str, Any]]:
    """(a folder with a model of zeros, its configuration)."""
    folder.mkdir()
    (folder / "tokenizer.model").write_bytes(tokenizer)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 4096,
        "num_attention_heads": 32,
        "num_hidden_layers": 1,
        "intermediate_size": 64,
        "vocab_size": 24_000,
        "tie_word_embeddings": True,
    }
    (folder / "config.json").write_text(json.dumps(config))
    write_sparse_llama(folder / "model.safetensors", config, dtype)
    return folder, config


def write_adapter_of(config: dict[str, Any], folder: Path) -> Path:
    """A LoRA of rank 64 for the embedding and the projections."""
    import torch

    hidden, rank = config["hidden_size"], 64
    modules = [f"model.layers.0.self_attn.{part}_proj" for part in "qkvo"]
    pairs = {module: (torch.ones(rank, hidden), torch.ones(hidden, rank)) for module in modules}
    embedding = "base_model.model.model.embed_tokens.lora_embedding_"
    others = {
        f"{embedding}A": torch.ones(rank, config["vocab_size"]),
        f"{embedding}B": torch.ones(hidden, rank),
    }
    return write_adapter(folder, pairs, others=others, r=rank)


def write_sparse_llama(path: Path, config: dict[str, Any], dtype: str) -> None:
    """A safetensors file of zeros that takes no disk space: only its header is written."""
    hidden, wide = config["hidden_size"], config["intermediate_size"]
    layer = "model.layers.0"
    shapes = {
        "model.embed_tokens.weight": [config["vocab_size"], hidden],
        f"{layer}.input_layernorm.weight": [hidden],
        **{f"{layer}.self_attn.{part}_proj.weight": [hidden, hidden] for part in "qkvo"},
        f"{layer}.post_attention_layernorm.weight": [hidden],
        f"{layer}.mlp.gate_proj.weight": [wide, hidden],
        f"{layer}.mlp.up_proj.weight": [wide, hidden],
        f"{layer}.mlp.down_proj.weight": [hidden, wide],
        "model.norm.weight": [hidden],
    }
    header, offset = {}, 0
    for name, shape in shapes.items():
        n_bytes = int(np.prod(shape)) * (4 if dtype == "F32" else 2)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + n_bytes]}
        offset += n_bytes
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + offset)

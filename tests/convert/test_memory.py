"""Anonymous memory stays bounded however large the tensors are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from .adapters import write_adapter

# Converts while a thread watches the process's anonymous memory; prints its highest growth in bytes.
WATCHED = """
import json, sys, threading
from belle_edge.convert import convert

def anonymous_bytes():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon"))

start = anonymous_bytes()
peak = start
done = threading.Event()

def watch():
    global peak
    while not done.wait(0.002):
        peak = max(peak, anonymous_bytes())

watcher = threading.Thread(target=watch)
watcher.start()
options = json.loads(sys.argv[4]) if len(sys.argv) > 4 else {}
report = convert(sys.argv[1], sys.argv[2], type=sys.argv[3], family="none", **options)
done.set()
watcher.join()
predicted = report.conversion_memory_bytes
result = {"peak": peak, "growth": peak - start}
result |= {"source": report.source_bytes, "predicted": predicted}
print(json.dumps(result))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("dtype", ["F32", "BF16"])
@pytest.mark.parametrize(("type", "lora"), [("q4_0", False), ("f32", False), ("q4_0", True)])
def test_memory_is_bounded(tmp_path: Path, llama_tokenizer: bytes, dtype: str, type: str, lora: bool) -> None:
    """A 400 MB (bf16: 200 MB) embedding and projections of 60 MB, whose rows are permuted."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "tokenizer.model").write_bytes(llama_tokenizer)
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
    options = {"lora": [str(write_adapter_of(config, tmp_path / "lora"))]} if lora else {}
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(folder), str(tmp_path / "out.gguf"), type, json.dumps(options)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "2"},
    )
    (tmp_path / "out.gguf").unlink()  # pytest keeps its folders for a while
    result = json.loads(done.stdout)
    assert result["source"] > (300e6 if dtype == "F32" else 250e6)
    assert result["growth"] < 200e6
    assert result["peak"] < result["predicted"]


def write_adapter_of(config: dict[str, int], folder: Path) -> Path:
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


def write_sparse_llama(path: Path, config: dict[str, int], dtype: str) -> None:
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

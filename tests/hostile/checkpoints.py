"""Checkpoints written with NumPy alone, with trained tokenizers."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..convert.conftest import bloom_tokenizer_json, sentencepiece_model

VOCAB_SIZE = 400
Tensors = dict[str, NDArray[np.float32]]


def write_checkpoint(folder: Path, *, hidden: int = 512, n_layers: int = 4, n_heads: int = 8) -> Path:
    folder.mkdir(parents=True)
    config = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_act": "silu",
        "vocab_size": VOCAB_SIZE,
        "hidden_size": hidden,
        "num_hidden_layers": n_layers,
        "num_attention_heads": n_heads,
        "num_key_value_heads": n_heads,
        "intermediate_size": 3 * hidden,
        "max_position_embeddings": 256,
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": False,
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "tokenizer.model").write_bytes(sentencepiece_model(VOCAB_SIZE))
    write_safetensors(folder / "model.safetensors", tensors_of(hidden, n_layers))
    return folder


def write_bloom(folder: Path, *, hidden: int = 32) -> Path:
    """One layer, the tokenizer as tokenizer.json."""
    folder.mkdir(parents=True)
    sizes = {"vocab_size": 320, "hidden_size": hidden, "n_layer": 1, "n_head": 2, "layer_norm_epsilon": 1e-5}
    config = {"model_type": "bloom", "architectures": ["BloomForCausalLM"], **sizes}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "tokenizer.json").write_text(bloom_tokenizer_json(320), encoding="utf-8")
    shapes: dict[str, tuple[int, ...]] = {"word_embeddings": (320, hidden)}
    shapes |= {f"h.0.{name}": (hidden,) for name in ("input_layernorm", "post_attention_layernorm")}
    shapes |= {"word_embeddings_layernorm": (hidden,), "ln_f": (hidden,)}
    shapes |= {
        "h.0.self_attention.query_key_value": (3 * hidden, hidden),
        "h.0.self_attention.dense": (hidden, hidden),
        "h.0.mlp.dense_h_to_4h": (4 * hidden, hidden),
        "h.0.mlp.dense_4h_to_h": (hidden, 4 * hidden),
    }
    tensors = {f"{name}.weight": np.full(shape, 0.1, np.float32) for name, shape in shapes.items()}
    biases = {f"{name}.bias": np.zeros(shape[0], np.float32) for name, shape in shapes.items()}
    del biases["word_embeddings.bias"]
    write_safetensors(folder / "model.safetensors", {**tensors, **biases})
    return folder


def tensors_of(hidden: int, n_layers: int) -> Tensors:
    random = np.random.default_rng(7)
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (VOCAB_SIZE, hidden),
        "lm_head.weight": (VOCAB_SIZE, hidden),
        "model.norm.weight": (hidden,),
    }
    for layer in range(n_layers):
        block = f"model.layers.{layer}"
        shapes |= {
            f"{block}.{name}.weight": (hidden,) for name in ("input_layernorm", "post_attention_layernorm")
        }
        shapes |= {f"{block}.self_attn.{name}_proj.weight": (hidden, hidden) for name in "qkvo"}
        shapes |= {f"{block}.mlp.{name}_proj.weight": (3 * hidden, hidden) for name in ("gate", "up")}
        shapes[f"{block}.mlp.down_proj.weight"] = (hidden, 3 * hidden)
    return {name: random.normal(scale=0.1, size=shape).astype(np.float32) for name, shape in shapes.items()}


def write_safetensors(path: Path, tensors: Tensors) -> None:
    header, offset = {}, 0
    for name, tensor in tensors.items():
        header[name] = {
            "dtype": "F32",
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + tensor.nbytes],
        }
        offset += tensor.nbytes
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(tensor.tobytes())

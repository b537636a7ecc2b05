"""Small random models written straight to GGUF, in any tensor type, and easy to spoil in one place."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

VOCAB_SIZE = 301  # not a multiple of the 16 rows of a panel


@dataclass
class GgufModel:
    """What goes into the file. `raw` holds tensors already in a quantized form: name → (type, bytes)."""

    architecture: str
    metadata: dict[str, Any]  # without the "<architecture>." prefix
    tensors: dict[str, NDArray[np.float32]]  # NumPy shapes
    raw: dict[str, tuple[gguf.GGMLQuantizationType, NDArray[np.uint8]]] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)  # metadata under its full keys

    def write(self, path: Path, type: str = "f32") -> Path:
        """Matrices become `type`; vectors stay float32."""
        writer = gguf.GGUFWriter(path, self.architecture)
        for key, value in self.metadata.items():
            add_value(writer, f"{self.architecture}.{key}", value)
        for key, value in self.extra.items():
            add_value(writer, key, value)
        kind = gguf.GGMLQuantizationType[type.upper()]
        for name, tensor in self.tensors.items():
            if tensor.ndim == 1 or type == "f32":
                writer.add_tensor(name, tensor)
            elif type == "f16":
                writer.add_tensor(name, tensor.astype(np.float16))
            else:
                writer.add_tensor(name, gguf.quants.quantize(tensor, kind), raw_dtype=kind)
        for name, (raw_kind, data) in self.raw.items():
            writer.add_tensor(name, data, raw_dtype=raw_kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path


def add_value(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    if isinstance(value, str):
        writer.add_string(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, list):
        writer.add_array(key, value)
    else:
        writer.add_uint32(key, value)


def random_llama(
    *, seed: int = 1, hidden: int = 64, n_heads: int = 4, n_kv_heads: int = 2, feed_forward: int = 96
) -> GgufModel:
    """Two layers with grouped queries, an untied head, no biases."""
    random = np.random.default_rng(seed)
    head_dim = hidden // n_heads
    metadata = {
        "block_count": 2,
        "context_length": 128,
        "embedding_length": hidden,
        "feed_forward_length": feed_forward,
        "attention.head_count": n_heads,
        "attention.head_count_kv": n_kv_heads,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "rope.dimension_count": head_dim,
        "rope.freq_base": 10000.0,
    }
    matrices = {
        "attn_q": (hidden, hidden),
        "attn_k": (n_kv_heads * head_dim, hidden),
        "attn_v": (n_kv_heads * head_dim, hidden),
        "attn_output": (hidden, hidden),
        "ffn_gate": (feed_forward, hidden),
        "ffn_up": (feed_forward, hidden),
        "ffn_down": (hidden, feed_forward),
    }
    tensors = {"token_embd.weight": normal(random, VOCAB_SIZE, hidden)}
    for layer in range(2):
        for name in ("attn_norm", "ffn_norm"):
            tensors[f"blk.{layer}.{name}.weight"] = 1 + normal(random, hidden)
        for name, shape in matrices.items():
            tensors[f"blk.{layer}.{name}.weight"] = normal(random, *shape)
    tensors["output_norm.weight"] = 1 + normal(random, hidden)
    tensors["output.weight"] = normal(random, VOCAB_SIZE, hidden)
    return GgufModel("llama", metadata, tensors)


def random_bloom(*, seed: int = 2, hidden: int = 96, n_heads: int = 6) -> GgufModel:
    """Two layers with ALiBi for a number of heads that is no power of two, tied embeddings."""
    random = np.random.default_rng(seed)
    metadata = {
        "block_count": 2,
        "context_length": 128,
        "embedding_length": hidden,
        "feed_forward_length": 4 * hidden,
        "attention.head_count": n_heads,
        "attention.layer_norm_epsilon": 1e-5,
    }
    matrices = {
        "attn_qkv": (3 * hidden, hidden),
        "attn_output": (hidden, hidden),
        "ffn_up": (4 * hidden, hidden),
        "ffn_down": (hidden, 4 * hidden),
    }
    tensors = {"token_embd.weight": normal(random, VOCAB_SIZE, hidden)}

    def add_norm(name: str) -> None:
        tensors[f"{name}.weight"] = 1 + normal(random, hidden)
        tensors[f"{name}.bias"] = normal(random, hidden)

    add_norm("token_embd_norm")
    for layer in range(2):
        add_norm(f"blk.{layer}.attn_norm")
        add_norm(f"blk.{layer}.ffn_norm")
        for name, shape in matrices.items():
            tensors[f"blk.{layer}.{name}.weight"] = normal(random, *shape)
            tensors[f"blk.{layer}.{name}.bias"] = normal(random, shape[0])
    add_norm("output_norm")
    return GgufModel("bloom", metadata, tensors)


def one_layer(model: GgufModel) -> GgufModel:
    """Its first layer alone: keys and values then depend on their own token and position."""
    model.metadata["block_count"] = 1
    model.tensors = {name: t for name, t in model.tensors.items() if not name.startswith("blk.1.")}
    return model


RANDOM_MODELS = {"llama": random_llama, "bloom": random_bloom}  # by architecture; a KeyError for any other


def normal(random: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    return random.normal(scale=0.15, size=shape).astype(np.float32)

"""What a model loaded by llama.cpp is, for reports: shapes, cache sizes, the CPU features in use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from .._core import FLOAT_TYPES, GgufFile, weight_types
from ..errors import UnsupportedModelError
from ..text.vocabulary import Metadata
from .llama_library import Library

CACHE_TYPES = {"f32": "f32", "f16": "f16", "q8": "q8_0"}  # ours -> llama.cpp's
_BY_CACHE_SIZE = "rope_factors_long.weight"  # with this tensor llama.cpp chooses rotary factors by cache size


def config_of(library: Library, model: Any, metadata: Metadata) -> dict[str, Any]:
    """As `Backend.config`; 0 for what an architecture does not have."""
    api = library.api
    n_heads, hidden = int(api.llama_model_n_head(model)), int(api.llama_model_n_embd(model))
    return {
        "architecture": str(metadata.get("general.architecture")),
        "n_layers": int(api.llama_model_n_layer(model)),
        "n_heads": n_heads,
        "n_kv_heads": int(api.llama_model_n_head_kv(model)),
        "head_dim": _number(metadata, "attention.key_length") or (hidden // n_heads if n_heads else 0),
        "hidden_size": hidden,
        "feed_forward_size": _number(metadata, "feed_forward_length"),
        "vocab_size": int(api.llama_vocab_n_tokens(api.llama_model_get_vocab(model))),
        "context_length": int(api.llama_model_n_ctx_train(model)),
    }


def kv_bytes_per_token(config: Mapping[str, Any], metadata: Metadata, kv_type: str) -> int:
    """Keys and values of one token; an estimate where layers differ in ways the usual keys do not tell."""
    value_dim = _number(metadata, "attention.value_length") or config["head_dim"]
    heads = _get(metadata, "attention.head_count_kv")
    n_heads = int(np.sum(heads)) if np.ndim(heads) else config["n_layers"] * config["n_kv_heads"]
    kind = weight_types()[CACHE_TYPES[kv_type]]
    return int(n_heads * (config["head_dim"] + value_dim) * kind["block_bytes"] // kind["block_size"])


def check_cache_type(kv_type: str, config: Mapping[str, Any]) -> None:
    """UnsupportedModelError where llama.cpp has no such cache: q8_0 has blocks of 32 elements."""
    block = weight_types()[CACHE_TYPES[kv_type]]["block_size"]
    if config["head_dim"] % block:
        raise UnsupportedModelError(
            f"[llama.cpp] a cache of type {kv_type} needs heads whose size {block} divides, and this model's "
            f"have {config['head_dim']} elements: load it with kv='f16' (--kv f16)"
        )


def default_kv_type(file: GgufFile) -> str:
    """f32 where all matrices are float, as in the native engine; else f16."""
    types = {tensor.type for tensor in file.tensors() if len(tensor.shape) > 1}
    return "f32" if types <= FLOAT_TYPES else "f16"


def may_resize_cache(file: GgufFile) -> bool:
    """Whether logits stay the same in a cache of another size."""
    return all(tensor.name != _BY_CACHE_SIZE for tensor in file.tensors())


def cpu_features(library: Library) -> str:
    """What this build of llama.cpp uses, as "AVX2 FMA F16C"."""
    text = library.api.llama_print_system_info().decode("ascii", "replace")
    return " ".join(re.findall(r"(\w+) = 1\b", text))


def _get(metadata: Metadata, key: str) -> Any:
    return metadata.get(f"{metadata.get('general.architecture')}.{key}")


def _number(metadata: Metadata, key: str) -> int:
    """A number, or the largest one of a value per layer; 0 if absent."""
    value = _get(metadata, key)
    return 0 if value is None else int(np.max(value))

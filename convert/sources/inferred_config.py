"""A configuration for quantized weights that were published without one: from their names and shapes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from belle_edge.convert.sources.source_tensors import SourceTensor
from belle_edge.errors import ConversionError

# Hidden size → heads. The published sizes; shapes alone do not tell how BLOOM's rows are cut into heads.
_BLOOM_HEADS = {1024: 16, 1536: 16, 2048: 16, 2560: 32, 4096: 32, 14336: 112}
_LLAMA_HEADS = {4096: 32, 5120: 40, 6656: 52, 8192: 64}
_PREFIXES = ("module.", "transformer.", "model.")
_WANTED = "give a folder with its config.json and tokenizer as --tokenizer"


def infer_config(weights: Mapping[str, SourceTensor]) -> tuple[dict[str, Any], str]:
    """(config.json's values, a warning that says what was assumed).

    weights: under their plain names. ConversionError for anything but BLOOM and the first LLaMA in published sizes.
    """
    shapes = {_short(name): tensor.shape for name, tensor in weights.items() if tensor.shape}
    if "word_embeddings.weight" in shapes:
        return _bloom(shapes)
    if "embed_tokens.weight" in shapes:
        return _llama(shapes)
    raise ConversionError(f"[weights] no config.json, and neither BLOOM's names nor LLaMA's: {_WANTED}")


def _bloom(shapes: Mapping[str, tuple[int, ...]]) -> tuple[dict[str, Any], str]:
    hidden, n_layers = shapes["word_embeddings.weight"][-1], _n_layers(shapes, "h.")
    config = {
        "architectures": ["BloomForCausalLM"],
        "hidden_size": hidden,
        "n_head": _heads(_BLOOM_HEADS, hidden, "BLOOM"),
        "n_layer": n_layers,
        "layer_norm_epsilon": 1e-5,
        "seq_length": 2048,
    }
    return config, (
        f"no config.json: a BLOOM with {n_layers} layers of {hidden}, {config['n_head']} heads, norm epsilon 1e-5 and"
        " 2048 positions was assumed from the shapes"
    )


def _llama(shapes: Mapping[str, tuple[int, ...]]) -> tuple[dict[str, Any], str]:
    hidden, n_layers = shapes["embed_tokens.weight"][-1], _n_layers(shapes, "layers.")
    n_heads = _heads(_LLAMA_HEADS, hidden, "LLaMA")
    keys = shapes.get("layers.0.self_attn.k_proj.weight", (0,))[0]
    if keys != hidden:
        raise ConversionError(
            f"[weights] no config.json, and keys of {keys} beside a hidden size of {hidden} are not the first"
            f" LLaMA's: {_WANTED}"
        )
    config = {
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": hidden,
        "num_attention_heads": n_heads,
        "num_hidden_layers": n_layers,
        "intermediate_size": shapes.get("layers.0.mlp.gate_proj.weight", (0,))[0],
        "rms_norm_eps": 1e-6,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": "lm_head.weight" not in shapes,
    }
    return config, (
        f"no config.json: the first LLaMA with {n_layers} layers of {hidden}, {n_heads} heads, norm epsilon 1e-6 and"
        f" 2048 positions was assumed; if it is another one (LLaMA 2 has 1e-5), {_WANTED}"
    )


def _heads(known: Mapping[int, int], hidden: int, architecture: str) -> int:
    if hidden not in known:
        raise ConversionError(
            f"[weights] no config.json, and {hidden} is not the hidden size of a published {architecture}"
            f" ({', '.join(map(str, known))}): {_WANTED}"
        )
    return known[hidden]


def _n_layers(names: Iterable[str], prefix: str) -> int:
    numbers = (name.removeprefix(prefix).split(".")[0] for name in names if name.startswith(prefix))
    return 1 + max((int(number) for number in numbers if number.isdecimal()), default=-1)


def _short(name: str) -> str:
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name

"""Tiny random Hugging Face checkpoints, and transformers' own float32 logits for them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

N_TOKENS = 260  # of the tokenizers written here; a model may have more rows


@dataclass(frozen=True)
class Variant:
    """One shape of model: settings are those of transformers' configuration classes."""

    name: str
    architecture: str  # "bloom" | "llama"
    settings: dict[str, Any] = field(default_factory=dict)
    dtype: str = "float32"  # of the checkpoint
    type: str = "f32"  # of the GGUF


BLOOM_DEFAULTS = {"vocab_size": 320, "hidden_size": 96, "n_layer": 2, "n_head": 3}
LLAMA_DEFAULTS = {
    "vocab_size": 320,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "intermediate_size": 96,
    "max_position_embeddings": 256,
    "tie_word_embeddings": False,
}


def save_checkpoint(variant: Variant, folder: Path) -> None:
    """Random values everywhere: transformers starts norms at one and biases at zero, which hides mistakes."""
    import torch
    import transformers

    config: Any
    model: Any
    if variant.architecture == "bloom":
        config = transformers.BloomConfig(**{**BLOOM_DEFAULTS, **variant.settings})
        model = transformers.BloomForCausalLM(config)
    else:
        config = transformers.LlamaConfig(**{**LLAMA_DEFAULTS, **variant.settings})
        model = transformers.LlamaForCausalLM(config)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            is_norm_weight = "norm" in name or "ln_f" in name
            mean = 1.0 if is_norm_weight and name.endswith("weight") else 0.0
            parameter.normal_(mean=mean, std=0.15, generator=generator)
    model.to(getattr(torch, variant.dtype)).save_pretrained(folder)
    save_tokenizer(variant.architecture, folder)


def save_tokenizer(architecture: str, folder: Path) -> None:
    """A tokenizer of single bytes, as each architecture has them; the engine itself never looks at it."""
    specials = ["<unk>", "<s>", "</s>", "<pad>"]
    if architecture == "bloom":
        from tokenizers.pre_tokenizers import ByteLevel

        tokens = [*specials, *sorted(ByteLevel.alphabet())]
        split: dict[str, Any] = {"type": "Split", "pattern": {"Regex": " ?[^(\\s|[.,!?…。，、।۔،])]+"}}
        split |= {"behavior": "Isolated", "invert": False}
        bytes_only: dict[str, Any] = {
            "type": "ByteLevel",
            "add_prefix_space": False,
            "trim_offsets": True,
            "use_regex": False,
        }
        pre_tokenizer: dict[str, Any] | None = {"type": "Sequence", "pretokenizers": [split, bytes_only]}
    else:
        tokens = [*specials, *(f"<0x{value:02X}>" for value in range(256))]
        pre_tokenizer = None
    assert len(tokens) == N_TOKENS
    model: dict[str, Any] = {
        "type": "BPE",
        "vocab": {token: index for index, token in enumerate(tokens)},
        "merges": [],
    }
    model |= {"unk_token": "<unk>", "byte_fallback": architecture == "llama"}
    tokenizer: dict[str, Any] = {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": pre_tokenizer,
        "model": model,
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    settings = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def reference_logits(folder: Path, ids: NDArray[np.int32]) -> NDArray[np.float32]:
    """transformers in float32 with the checkpoint's weights: [n_tokens, n_vocab]."""
    import torch
    import transformers

    model: Any = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        logits = model.eval()(torch.from_numpy(ids.astype(np.int64))[None]).logits[0]
    return np.asarray(logits.numpy(), dtype=np.float32)


def relative_error(logits: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
    """Largest difference over the largest magnitude."""
    return float(np.abs(logits - reference).max() / np.abs(reference).max())

"""Small complete GGUF files, tokenizer included: random weights, every layer real."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..fuzz.tokenizer_cases import PREFIX, sound_tables
from ..model.gguf_models import RANDOM_MODELS, VOCAB_SIZE, GgufModel

TEMPLATE = "{% for message in messages %}Human: {{ message['content'] }}\n\nAssistant:{% endfor %}"
UNUSED = 5  # token type of padding entries


def complete_model(architecture: str, **sizes: int) -> GgufModel:
    """A model with tokenizer tables, padded to its rows, and a chat template. sizes: as its maker takes them."""
    model = RANDOM_MODELS[architecture](**sizes)
    tables = sound_tables("llama" if architecture == "llama" else "gpt2")
    n_missing = VOCAB_SIZE - len(tables[f"{PREFIX}tokens"])
    padding: dict[str, list[Any]] = {
        "tokens": [f"[PAD{index}]" for index in range(n_missing)],
        "token_type": [UNUSED] * n_missing,
        "scores": [-1000.0] * n_missing,
    }
    for key, values in padding.items():
        if f"{PREFIX}{key}" in tables:
            tables[f"{PREFIX}{key}"] += values
    model.extra = {**tables, "tokenizer.chat_template": TEMPLATE, "general.name": "small"}
    return model


def write_complete(folder: Path, architecture: str, type: str) -> Path:
    return complete_model(architecture).write(folder / f"{architecture}-{type}.gguf", type)

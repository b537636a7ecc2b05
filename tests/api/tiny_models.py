"""Random models of a few kilobytes with a tokenizer and a chat template: what they write is noise, and fast."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
from tokenizers.pre_tokenizers import ByteLevel

from ..gguf.checksummed import with_checksums
from ..model.gguf_models import RANDOM_MODELS, VOCAB_SIZE, add_value

FAMILY_OF = {"bloom": "belle", "llama": "belle-llama"}


def write_tiny_model(
    path: Path, architecture: str, *, n_layers: int = 2, context: int = 128, family: str | None = None
) -> Path:
    """A float32 model whose tokenizer has the 256 bytes, a few longer pieces and control tokens 0 to 2."""
    model = RANDOM_MODELS[architecture]()
    model.metadata |= {"block_count": n_layers, "context_length": context}
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in model.metadata.items():
        add_value(writer, f"{architecture}.{key}", value)
    for key, value in _tokenizer(architecture).items():
        add_value(writer, f"tokenizer.ggml.{key}", value)
    writer.add_string("belle.family", family or FAMILY_OF[architecture])
    for name, tensor in model.tensors.items():
        if not name.startswith("blk.") or int(name.split(".")[1]) < n_layers:
            writer.add_tensor(name, np.ascontiguousarray(tensor))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return with_checksums(path)  # which files with belle.* keys need


def _tokenizer(architecture: str) -> dict[str, Any]:
    n_control = 3
    if architecture == "llama":
        pieces = ["▁", "▁Human", "Human", ":", "Ass", "istant", "▁你", "你", "好"]
        tokens = ["<unk>", "<s>", "</s>", *(f"<0x{value:02X}>" for value in range(256)), *pieces]
        types = [2, 3, 3] + [6] * 256 + [1] * len(pieces)
        extra: dict[str, Any] = {"model": "llama"}
    else:
        merges = ["H u", "m a", "Hu ma", "Huma n", "ä ½", "ä½ ł"]
        tokens = ["<unk>", "<s>", "</s>", *sorted(ByteLevel.alphabet())]
        tokens += [merge.replace(" ", "") for merge in merges]
        types = [2, 3, 3] + [1] * (len(tokens) - n_control)
        extra = {"model": "gpt2", "pre": "bloom", "merges": merges}
    n_padding = VOCAB_SIZE - len(tokens)
    tokens += [f"[PAD{index}]" for index in range(n_padding)]
    types += [5] * n_padding
    scores = [-float(index) for index in range(len(tokens))]
    return {
        **extra,
        "tokens": tokens,
        "token_type": types,
        "scores": scores,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }

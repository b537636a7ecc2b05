"""Vocabularies made by hand, small enough to read."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def byte_level_tables() -> dict[str, Any]:
    """BPE in BLOOM's manner: special tokens, 256 bytes, merges for "你" and "hello", a user-defined token."""
    from tokenizers.pre_tokenizers import ByteLevel

    merges = ["ä ½", "ä½ ł", "h e", "l l", "he ll", "hell o", "Ġ hello"]
    tokens = ["<unk>", "<s>", "</s>", "<pad>", *sorted(ByteLevel.alphabet())]
    tokens += [merge.replace(" ", "") for merge in merges]
    types = [2, 3, 3, 3] + [1] * (len(tokens) - 4)
    tokens += ["<|tool|>", "", "[PAD269]"]
    types += [4, 1, 5]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "bloom",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
    }


@pytest.fixture
def sentencepiece_tables() -> dict[str, Any]:
    """SentencePiece BPE in LLaMA's manner, with a duplicate, an empty and an unused piece."""
    pieces = ["▁h", "el", "lo", "ello", "▁hello", "▁", "h", "e", "l", "o", "你"]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{value:02X}>" for value in range(256)), *pieces]
    tokens += ["hello", "你", "", "[PAD273]", "<tool>"]
    n_tail = len(pieces) + 5
    types = [2, 3, 3] + [6] * 256 + [1] * n_tail
    types[-2:] = [5, 4]
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.scores": [0.0] * 259 + [-float(index) for index in range(n_tail)],
    }

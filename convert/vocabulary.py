"""A tokenizer as GGUF describes it: tokens, types, scores or merges, special ids and settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from belle_edge.convert.architectures.base import Metadata


class TokenType(IntEnum):
    """GGUF's (and SentencePiece's) token types."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass
class TokenizerTables:
    """A tokenizer ready to be written. `scores` belong to "llama" tokenizers, `merges` to "gpt2" ones."""

    model: str  # "gpt2" | "llama"
    pre: str
    tokens: list[str]
    types: list[TokenType]
    add_bos: bool
    add_eos: bool
    scores: list[float] | None = None
    merges: list[str] | None = None
    bos_id: int | None = None
    eos_id: int | None = None
    unk_id: int | None = None
    pad_id: int | None = None
    add_space_prefix: bool | None = None
    huggingface_json: str | None = None
    chat_template: str | None = None  # the source's own
    n_padding: int = 0  # unused tokens appended for embedding rows without a token
    warnings: list[str] = field(default_factory=list)

    def metadata(self) -> Metadata:
        """llama.cpp's `tokenizer.*` keys, without the chat template."""
        values: dict[str, Any] = {
            "tokenizer.ggml.model": self.model,
            "tokenizer.ggml.pre": self.pre,
            "tokenizer.ggml.tokens": self.tokens,
            "tokenizer.ggml.scores": self.scores,
            "tokenizer.ggml.token_type": [int(kind) for kind in self.types],
            "tokenizer.ggml.merges": self.merges or None,
            "tokenizer.ggml.bos_token_id": self.bos_id,
            "tokenizer.ggml.eos_token_id": self.eos_id,
            "tokenizer.ggml.unknown_token_id": self.unk_id,
            "tokenizer.ggml.padding_token_id": self.pad_id,
            "tokenizer.ggml.add_bos_token": self.add_bos,
            "tokenizer.ggml.add_eos_token": self.add_eos,
            "tokenizer.ggml.add_space_prefix": self.add_space_prefix,
            "tokenizer.huggingface.json": self.huggingface_json,
        }
        return {key: value for key, value in values.items() if value is not None}

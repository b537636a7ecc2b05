"""A tokenizer as GGUF describes it: tokens, types, scores or merges, special ids and settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from belle_edge.convert.architectures.mapped_model import Metadata
from belle_edge.text.vocabulary import TokenType

if TYPE_CHECKING:
    from belle_edge.convert.source_tokenizer import SourceTokenizer
    from belle_edge.convert.tokenizer_comparison import TokenizerComparison


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
    space_prefix: str | None = None  # these three: see belle_edge.text.vocabulary.Vocabulary
    strip_left: list[int] = field(default_factory=list)
    strip_right: list[int] = field(default_factory=list)
    end_ids: list[int] = field(default_factory=list)  # that end a generation, besides EOS
    source: SourceTokenizer | None = field(default=None, repr=False)  # what the tables are compared with
    comparison: TokenizerComparison | None = None

    def llama_cpp_warnings(self) -> list[str]:
        """What llama.cpp does otherwise with texts, because its format has no word for it."""
        warnings = []
        if self.add_space_prefix and self.space_prefix in ("always", "first"):
            after = ", and after added tokens" if self.space_prefix == "first" else ""
            warnings.append(
                f"llama.cpp also puts a space before texts that start with one{after}; transformers and this package"
                " do not"
            )
        n_strips = len({*self.strip_left, *self.strip_right})
        if n_strips:
            warnings.append(
                f"llama.cpp keeps the white space around {n_strips} added tokens that take it in (lstrip, rstrip)"
            )
        return warnings

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
            "tokenizer.ggml.eot_token_id": self.end_ids[0] if self.end_ids else None,
            "tokenizer.ggml.eom_token_id": self.end_ids[1] if len(self.end_ids) > 1 else None,
            "belle.tokenizer.end_ids": self.end_ids or None,
            "belle.tokenizer.space_prefix": self.space_prefix if self.add_space_prefix else None,
            "belle.tokenizer.strip_left": self.strip_left or None,
            "belle.tokenizer.strip_right": self.strip_right or None,
        }
        if self.comparison is not None:
            values["belle.tokenizer.compared_texts"] = self.comparison.n_texts
            values["belle.tokenizer.different_texts"] = self.comparison.n_different
        return {key: value for key, value in values.items() if value is not None}

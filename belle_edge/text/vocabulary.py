"""The tokenizer tables of a GGUF file, read and checked: pieces, types, merges, special ids and switches."""

from __future__ import annotations

import math
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, Protocol

from ..errors import ModelFormatError, UnsupportedModelError
from .end_tokens import KEYS as END_KEYS
from .end_tokens import end_tokens
from .pre_tokenizers import PRE_TOKENIZERS, USE_LLAMA_CPP, PreTokenizer, pre_tokenizer
from .published_steps import published_steps


class Metadata(Protocol):
    """Read access to GGUF metadata; `_core.GgufFile` and a plain dict both fulfil it."""

    def get(self, key: str, default: Any = None, /) -> Any: ...
    def __contains__(self, key: Any, /) -> bool: ...


class TokenType(IntEnum):
    """Kinds of vocabulary entries; GGUF and SentencePiece number them alike."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


SPACE_PREFIXES = ("each", "always", "first")


@dataclass(frozen=True)
class Vocabulary:
    """Checked tables. `tokens`, `types` (and `scores` for SentencePiece) have one entry per id."""

    model: str  # "llama": SentencePiece BPE; "gpt2": byte-level BPE
    pre: str  # name of the pre-tokenizer (byte-level BPE only)
    tokens: Sequence[str]
    types: Sequence[int]
    scores: Sequence[float]
    merges: Sequence[str]  # "left right", best first
    bos_id: int | None
    eos_id: int | None
    unknown_id: int | None
    padding_id: int | None
    end_ids: frozenset[int]  # EOS and every other id that ends a generation
    add_bos: bool
    add_eos: bool
    add_space_prefix: bool
    # Which parts of a text get SentencePiece's space, special tokens being cut out: "each" as llama.cpp does it,
    # "always" those that do not start with a space, "first" of these the one that starts the text. None: not stated.
    space_prefix: str | None = None
    strip_left: frozenset[int] = frozenset()  # tokens that take in the white space before them
    strip_right: frozenset[int] = frozenset()  # and after them
    splits: PreTokenizer | None = None  # byte-level BPE only

    @classmethod
    def from_metadata(cls, metadata: Metadata) -> Vocabulary:
        """Read the `tokenizer.ggml.*` keys. Raises ModelFormatError or UnsupportedModelError."""
        model = check_model(metadata)
        spm = model == "llama"
        tokens = _strings(metadata, "tokenizer.ggml.tokens")
        if not tokens:
            raise ModelFormatError("[tokenizer] tokenizer.ggml.tokens is missing or empty")
        splits = None if spm else pre_tokenizer_of(metadata)
        bos_id = _special_id(metadata, "bos", len(tokens), 1 if spm else None)
        eos_id = _special_id(metadata, "eos", len(tokens), 2 if spm else None)
        unknown_id = _special_id(metadata, "unknown", len(tokens), 0 if spm else None)
        normal = int(TokenType.NORMAL)
        types = _numbers(metadata, "tokenizer.ggml.token_type", len(tokens), int, default=normal)
        end_ids = _end_ids(metadata, tokens, types, eos_id)
        # Tokens that open and close are no part of a text, whatever a file calls them; our own say what theirs are.
        is_ours = "belle.tokenizer.compared_texts" in metadata
        texts_of_users = (normal,) if is_ours else (normal, TokenType.USER_DEFINED)
        for token_id in end_ids if bos_id is None else {bos_id, *end_ids}:
            if types[token_id] in texts_of_users:
                types[token_id] = TokenType.CONTROL
        return cls(
            model=model,
            pre="" if spm else _pre_name(metadata),
            tokens=tokens,
            types=types,
            scores=_scores(metadata, len(tokens), required=spm),
            merges=[] if spm else _strings(metadata, "tokenizer.ggml.merges"),
            bos_id=bos_id,
            eos_id=eos_id,
            unknown_id=unknown_id,
            padding_id=_special_id(metadata, "padding", len(tokens), None),
            end_ids=end_ids,
            add_bos=bos_id is not None
            and _switch(metadata, "tokenizer.ggml.add_bos_token", splits.adds_bos if splits else True),
            add_eos=eos_id is not None and _switch(metadata, "tokenizer.ggml.add_eos_token", False),
            add_space_prefix=_switch(metadata, "tokenizer.ggml.add_space_prefix", spm),
            space_prefix=_space_prefix(metadata),
            strip_left=_ids(metadata, "belle.tokenizer.strip_left", len(tokens)),
            strip_right=_ids(metadata, "belle.tokenizer.strip_right", len(tokens)),
            splits=splits,
        )

    def __len__(self) -> int:
        return len(self.tokens)

    def texts_of(self, kinds: Container[int]) -> dict[str, int]:
        """text -> id of the entries of these kinds; without empty texts, and the first of equal ones wins."""
        found: dict[str, int] = {}
        for token_id, kind in enumerate(self.types):
            if kind in kinds and self.tokens[token_id]:
                found.setdefault(self.tokens[token_id], token_id)
        return found


def _space_prefix(metadata: Metadata) -> str | None:
    stated = _text(metadata, "belle.tokenizer.space_prefix") or None
    if stated is not None and stated not in SPACE_PREFIXES:
        raise UnsupportedModelError(
            f"[tokenizer] belle.tokenizer.space_prefix {stated!r} is not implemented"
            f" (known: {', '.join(SPACE_PREFIXES)}); a newer version may read it"
        )
    return stated


def _ids(metadata: Metadata, key: str, n_tokens: int) -> frozenset[int]:
    """A list of ids; none where the key is absent."""
    values = metadata.get(key)
    values = values.tolist() if hasattr(values, "tolist") else values or []
    if not isinstance(values, (list, tuple)) or not all(
        isinstance(value, int) and 0 <= value < n_tokens for value in values
    ):
        raise ModelFormatError(f"[tokenizer] {key}: expected a list of ids from 0 to {n_tokens - 1}")
    return frozenset(values)


def pre_tokenizer_of(metadata: Metadata) -> PreTokenizer:
    """How a byte-level vocabulary splits a text: as the tokenizer's own JSON says, where the file has it and its steps
    are known, else by the name in the file.

    Raises ModelFormatError or UnsupportedModelError.
    """
    name = _pre_name(metadata)
    published = published_steps(_text(metadata, "tokenizer.huggingface.json"))
    if published is None:
        return pre_tokenizer(name)
    named = PRE_TOKENIZERS.get(name)
    return replace(published, adds_bos=named is not None and named.adds_bos)


def _end_ids(
    metadata: Metadata, tokens: Sequence[str], types: Sequence[int], eos_id: int | None
) -> frozenset[int]:
    """EOS and every other id that ends a generation."""
    n_tokens = len(tokens)
    named = {key: _special_id(metadata, key, n_tokens, None) for key in END_KEYS}
    id_of = {text: token_id for token_id, text in reversed(list(enumerate(tokens)))}
    found = end_tokens(
        {key: token_id for key, token_id in named.items() if token_id is not None},
        id_of,
        lambda token_id: types[token_id] == TokenType.NORMAL,
    )
    own = _ids(metadata, "belle.tokenizer.end_ids", n_tokens)
    return found | own | (frozenset() if eos_id is None else {eos_id})


def _pre_name(metadata: Metadata) -> str:
    name = _text(metadata, "tokenizer.ggml.pre")
    if not name and _text(metadata, "general.architecture") == "bloom":
        return "bloom"  # files from before llama.cpp wrote this key
    return name


def check_model(metadata: Metadata) -> str:
    """The kind of tokenizer. ModelFormatError without one, UnsupportedModelError for one that is not implemented."""
    model = _text(metadata, "tokenizer.ggml.model")
    if not model:
        raise ModelFormatError("[tokenizer] the file has no tokenizer.ggml.model: it carries no tokenizer")
    if model not in ("llama", "gpt2"):
        raise UnsupportedModelError(
            f"[tokenizer] tokenizer.ggml.model '{model}' is not implemented (known: gpt2, llama); "
            f"{USE_LLAMA_CPP}"
        )
    return model


def _text(metadata: Metadata, key: str) -> str:
    """A string; empty when the key is absent."""
    value = metadata.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ModelFormatError(f"[tokenizer] {key}: expected a string, got {type(value).__name__}")
    return value


def _switch(metadata: Metadata, key: str, default: bool) -> bool:
    value = metadata.get(key)
    if value is None:
        return default
    if not isinstance(value, int):  # some writers store 0 and 1
        raise ModelFormatError(f"[tokenizer] {key}: expected true or false, got {type(value).__name__}")
    return bool(value)


def _strings(metadata: Metadata, key: str) -> list[str]:
    values = metadata.get(key)
    if values is None:
        return []
    if not isinstance(values, (list, tuple)) or not all(isinstance(value, str) for value in values):
        raise ModelFormatError(f"[tokenizer] {key}: expected an array of strings")
    return list(values)


def _scores(metadata: Metadata, n_tokens: int, *, required: bool) -> list[Any]:
    scores = _numbers(
        metadata, "tokenizer.ggml.scores", n_tokens, (int, float), default=None if required else 0.0
    )
    for token_id, score in enumerate(scores):
        if not math.isfinite(score):
            raise ModelFormatError(f"[tokenizer] tokenizer.ggml.scores: entry {token_id} is {score}")
    return scores


def _numbers(
    metadata: Metadata, key: str, n_tokens: int, kind: type | tuple[type, ...], *, default: Any
) -> list[Any]:
    """An array of `n_tokens` plain numbers; absent: `default` for all, or an error if that is None."""
    values = metadata.get(key)
    if values is None:
        if default is None:
            raise ModelFormatError(f"[tokenizer] {key} is missing")
        return [default] * n_tokens
    values = values.tolist() if hasattr(values, "tolist") else values
    if not isinstance(values, (list, tuple)) or not all(isinstance(value, kind) for value in values):
        raise ModelFormatError(f"[tokenizer] {key}: expected an array of numbers")
    if len(values) != n_tokens:
        raise ModelFormatError(f"[tokenizer] {key}: expected {n_tokens} entries, got {len(values)}")
    return list(values)


def _special_id(metadata: Metadata, name: str, n_tokens: int, default: int | None) -> int | None:
    key = f"tokenizer.ggml.{name}_token_id"
    value = metadata.get(key)
    if value is None:
        return default if default is not None and default < n_tokens else None
    if not isinstance(value, int):
        raise ModelFormatError(f"[tokenizer] {key}: expected an integer, got {type(value).__name__}")
    if value == 0xFFFFFFFF:  # how -1, "no such token", is stored in an unsigned field
        return None
    if not 0 <= value < n_tokens:
        raise ModelFormatError(f"[tokenizer] {key}: {value} is outside the vocabulary of {n_tokens} entries")
    return int(value)  # True and False are integers, too

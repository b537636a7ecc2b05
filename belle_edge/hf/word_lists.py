"""Sequences of ids that generation settings name: words that are ruled out, or made likelier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import excerpt
from ..settings import number, token_ids

Bias = list[tuple[list[int], float]]


def checked_words(name: str, words: Any) -> list[list[int]]:
    """[[ids], …]. ValueError for anything else, and for a word without ids."""
    if isinstance(words, (str, bytes, Mapping)) or not hasattr(words, "__iter__"):
        raise ValueError(f"{name}: expected lists of token ids, got {excerpt(words)}")
    return [_word(name, word) for word in words]


def checked_bias(name: str, bias: Any) -> Bias:
    """From transformers' two forms, {(ids): number} and [[[ids], number], …]. ValueError for anything else."""
    try:
        pairs = [(word, value) for word, value in (bias.items() if isinstance(bias, Mapping) else bias)]
    except (TypeError, ValueError):
        raise ValueError(f"{name}: expected token ids with numbers, got {excerpt(bias)}") from None
    return [(_word(name, word), float(number(f"{name} of {excerpt(word)}", value))) for word, value in pairs]


def _word(name: str, word: Any) -> list[int]:
    ids = token_ids(name, word)
    if not ids or min(ids) < 0:
        raise ValueError(f"{name}: expected a token id or several from 0, got {excerpt(word)}")
    return ids

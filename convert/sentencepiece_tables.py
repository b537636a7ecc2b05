"""SentencePiece vocabularies → GGUF's "llama" tokenizer tables, from tokenizer.model or a tokenizer.json."""

from __future__ import annotations

import re
from importlib import import_module
from itertools import pairwise
from typing import Any

from belle_edge.convert.gguf_tokenizer import TokenizerTables
from belle_edge.convert.sentencepiece_reference import parse_model
from belle_edge.errors import ConversionError, excerpt
from belle_edge.text.vocabulary import TokenType

_BYTE_TOKEN = re.compile(r"^<0x[0-9A-F]{2}>$")
_BPE_MODEL = 2  # TrainerSpec.ModelType.BPE


def read_tokenizer_model(name: str, content: bytes) -> TokenizerTables:
    """Tables from SentencePiece's own file. ConversionError when it is damaged or not of the BPE kind."""
    model = parse_model(name, content)
    if model.trainer_spec.model_type != _BPE_MODEL:
        protocol: Any = import_module("sentencepiece.sentencepiece_model_pb2")
        kind = protocol.TrainerSpec.ModelType.Name(model.trainer_spec.model_type)
        raise ConversionError(
            f"[{name}] SentencePiece model type {kind}: GGUF's llama tokenizer is of type BPE only"
        )
    ids = model.trainer_spec
    tables = TokenizerTables(
        model="llama",
        pre="default",
        tokens=[piece.piece for piece in model.pieces],
        scores=[piece.score for piece in model.pieces],
        types=[TokenType(piece.type) for piece in model.pieces],  # GGUF took over SentencePiece's numbers
        bos_id=_present(ids.bos_id, model.pieces),
        eos_id=_present(ids.eos_id, model.pieces),
        unk_id=_present(ids.unk_id, model.pieces),
        pad_id=_present(ids.pad_id, model.pieces),
        add_bos=True,  # LlamaTokenizer's defaults
        add_eos=False,
        add_space_prefix=model.normalizer_spec.add_dummy_prefix,
    )
    if model.normalizer_spec.precompiled_charsmap:
        tables.warnings.append(
            f"{name} normalizes text ({model.normalizer_spec.name}); GGUF's llama tokenizer does not"
        )
    return tables


def read_sentencepiece_json(tokenizer: dict[str, Any], *, n_rows: int) -> TokenizerTables:
    """Tables from a tokenizer.json that was converted from SentencePiece (BPE with byte fallback).

    The scores are gone there. SentencePiece joins the pair whose result scores highest, the JSON the pair
    that comes first in its list of merges. So a piece scores minus the place of its group of merges: the same
    order, as long as the merges that give one piece stand together. ConversionError when they do not.
    """
    model = tokenizer["model"]
    vocabulary: dict[str, int] = model["vocab"]
    tokens = tokens_by_id(vocabulary, n_rows=n_rows)
    ranks = _merge_ranks(read_merges(model))
    scores, types = [], []
    for token in tokens:
        scores.append(-float(ranks[token]) if token in ranks else _unmerged_score(token, len(ranks)))
        types.append(TokenType.BYTE if _BYTE_TOKEN.match(token) else TokenType.NORMAL)
    unk_id = vocabulary.get(model.get("unk_token") or "")
    if unk_id is not None:
        types[unk_id] = TokenType.UNKNOWN
    return TokenizerTables(
        model="llama",
        pre="default",
        tokens=tokens,
        scores=scores,
        types=types,
        unk_id=unk_id,
        bos_id=vocabulary.get("<s>"),
        eos_id=vocabulary.get("</s>"),
        add_bos=True,
        add_eos=False,
        add_space_prefix=True,  # until text_rules.py says otherwise
    )


def tokens_by_id(vocabulary: dict[str, Any], *, n_rows: int) -> list[str]:
    """The tokens of a tokenizer.json in the order of their ids; holes get names of their own.

    n_rows: of the embedding. ConversionError for ids that are no integers, have no row, or belong to two tokens.
    """
    if len(vocabulary) > n_rows:
        raise ConversionError(
            f"[tokenizer] {len(vocabulary)} tokens, but the embedding has only {n_rows} rows: tokenizer and"
            " weights do not belong together"
        )
    tokens: list[str | None] = []
    for token, token_id in vocabulary.items():
        if type(token_id) is not int or not 0 <= token_id < n_rows:
            raise ConversionError(
                f"[tokenizer.json] expected token ids from 0 to {n_rows - 1}, as the embedding has rows, got"
                f" {excerpt(token_id)} for {excerpt(token)}: tokenizer and weights do not belong together"
            )
        tokens += [None] * (token_id + 1 - len(tokens))
        if tokens[token_id] is not None:
            raise ConversionError(
                f"[tokenizer.json] id {token_id} belongs to {excerpt(tokens[token_id])} and to {excerpt(token)}:"
                " expected one token per id; download it again"
            )
        tokens[token_id] = token
    return [f"[UNUSED{i}]" if token is None else token for i, token in enumerate(tokens)]


def read_merges(model: dict[str, Any]) -> list[tuple[str, str]]:
    """The merges of a tokenizer.json, best first. ConversionError for one that joins or makes what is no token."""
    vocabulary = model["vocab"]
    merges = [split_merge(merge) for merge in model.get("merges") or []]
    for left, right in merges:
        unknown = next((piece for piece in (left, right, left + right) if piece not in vocabulary), None)
        if unknown is not None:
            raise ConversionError(
                f"[tokenizer.json] the merge of {excerpt(left)} and {excerpt(right)}: {excerpt(unknown)} is no token of"
                " its vocabulary; download it again"
            )
    return merges


def split_merge(merge: Any) -> tuple[str, str]:
    """The two sides of a merge, which tokenizer.json writes as "a b" or, since 2024, as ["a", "b"]."""
    sides = merge.split(" ") if isinstance(merge, str) else merge
    is_pair = isinstance(sides, list) and len(sides) == 2
    if not is_pair or not all(isinstance(side, str) and side for side in sides):
        raise ConversionError(f"[tokenizer.json] expected a merge of two pieces, found {excerpt(merge)}")
    return sides[0], sides[1]


def _merge_ranks(merges: list[tuple[str, str]]) -> dict[str, int]:
    """piece → place of its group of merges in the list."""
    ranks: dict[str, int] = {}
    previous = ""
    for left, right in merges:
        piece = left + right
        if piece == previous:
            continue
        if piece in ranks:
            raise ConversionError(
                f"[tokenizer.json] the merges for {excerpt(piece)} are not together, so no SentencePiece scores give"
                " the same tokens: the original tokenizer.model is needed"
            )
        ranks[piece] = len(ranks)
        previous = piece
    return ranks


def _unmerged_score(token: str, n_merged: int) -> float:
    """Characters and special tokens never result from a merge; they only have to score low."""
    return 0.0 if _BYTE_TOKEN.match(token) else -float(n_merged)


def same_vocabulary(tables: TokenizerTables, tokenizer: dict[str, Any]) -> bool:
    """Whether a SentencePiece model's tables and a tokenizer.json have the same pieces, joined in the same order."""
    model = tokenizer["model"]
    if model["vocab"] != {token: token_id for token_id, token in enumerate(tables.tokens)}:
        return False
    scores = tables.scores or []
    try:
        ranks = _merge_ranks(read_merges(model))
    except ConversionError:
        return False
    in_order = [scores[model["vocab"][piece]] for piece in ranks]
    return all(better > worse for better, worse in pairwise(in_order))


def _present(token_id: int, pieces: Any) -> int | None:
    return token_id if 0 <= token_id < len(pieces) else None

"""Which tokens and merges stay, and why no kept text is tokenized differently.

Byte-level BPE starts with the bytes of a word and joins, again and again, the neighbours whose merge stands first in
the list. Where the words end depends on the text alone, not on the vocabulary. Two facts follow:

1. A merge that is never applied to a text can be removed without changing what becomes of it: in each step the first
   applicable merge is the same, because the order of the others stays.
2. Every token that comes up on the way, and at the end, is a part of the text's bytes; the tokens within a result are
   the parts of the merges that made it.

Languages: all tokens that some text in the allowed characters can contain are kept (membership.py), hence by 2 every
token and every merge that such a text needs, hence by 1 its tokens are the same. Corpora: the tokens of the texts are
kept with all parts of all merges that can make them, so the merges applied to these texts are kept, and 1 holds for
them. For both together the same is true of each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from belle_edge.convert.gguf_tokenizer import TokenizerTables
from belle_edge.convert.trim.membership import AllowedText
from belle_edge.errors import ConversionError, excerpt
from belle_edge.text.tokenizer import Tokenizer
from belle_edge.text.vocabulary import TokenType


@dataclass(frozen=True)
class Selection:
    """What stays of a vocabulary. `ids`: old ids, increasing, so that the place of one is its new id."""

    ids: list[int]
    merges: list[int]  # places in the old list, increasing


def indispensable_ids(tables: TokenizerTables, tokenizer: Tokenizer) -> set[int]:
    """Single bytes, so that every text stays possible, and special and added tokens."""
    return {
        token_id
        for token_id, kind in enumerate(tables.types)
        if (kind not in (TokenType.NORMAL, TokenType.UNUSED))
        or (kind == TokenType.NORMAL and len(tokenizer.token_bytes(token_id)) == 1)
    }


def ids_within(tables: TokenizerTables, tokenizer: Tokenizer, allowed: AllowedText) -> set[int]:
    """The tokens that can occur in text of the allowed characters."""
    return {
        token_id
        for token_id, kind in enumerate(tables.types)
        if kind == TokenType.NORMAL and allowed.can_contain(tokenizer.token_bytes(token_id))
    }


def close(tables: TokenizerTables, wanted: Iterable[int]) -> Selection:
    """`wanted` with the parts of every merge that makes one of them, recursively, and the merges among all these."""
    merges = merge_ids(tables)
    parts: dict[int, list[int]] = {}
    for left, right, result in merges:
        parts.setdefault(result, []).extend((left, right))
    kept: set[int] = set()
    waiting = list(wanted)
    while waiting:
        token_id = waiting.pop()
        if token_id not in kept:
            kept.add(token_id)
            waiting.extend(parts.get(token_id, ()))
    places = [place for place, ids in enumerate(merges) if kept.issuperset(ids)]
    return Selection(sorted(kept), places)


def merge_ids(tables: TokenizerTables) -> list[tuple[int, int, int]]:
    """(left, right, result) of each merge. ConversionError where one of them is no token."""
    ids: dict[str, int] = {}
    for token_id, (token, kind) in enumerate(zip(tables.tokens, tables.types, strict=True)):
        if kind != TokenType.UNUSED:
            ids.setdefault(token, token_id)
    found = []
    for merge in tables.merges or []:
        left, _, right = merge.partition(" ")
        if left not in ids or right not in ids or left + right not in ids:
            raise ConversionError(
                f"[tokenizer.json] the merge {excerpt(merge)} joins or makes something that is no token:"
                " download the file again"
            )
        found.append((ids[left], ids[right], ids[left + right]))
    return found

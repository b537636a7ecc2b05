"""The comparison that a trim has to pass: the same tokens before and after, text by text."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence

from belle_edge.convert.trim.membership import AllowedText
from belle_edge.errors import ConversionError
from belle_edge.text.tokenizer import Tokenizer

_TOKENS_PER_TEXT = 40
_CHARS_PER_TEXT = 60


def sample_texts(tokenizer: Tokenizer, ids: Sequence[int], allowed: AllowedText) -> Iterator[str]:
    """Texts in the allowed characters: each of the tokens `ids` once and each character twice, in random company.

    The same texts on every machine. Tokens that are no whole characters come up through the characters.
    """
    shuffled = random.Random(1).sample(list(ids), len(ids))
    for start in range(0, len(shuffled), _TOKENS_PER_TEXT):
        data = (tokenizer.token_bytes(token_id) for token_id in shuffled[start : start + _TOKENS_PER_TEXT])
        yield "".join(part.decode("utf-8", "ignore") for part in data)
    characters = sorted(allowed.characters)
    for order in (characters, random.Random(2).sample(characters, len(characters))):
        for start in range(0, len(order), _CHARS_PER_TEXT):
            yield "".join(map(chr, order[start : start + _CHARS_PER_TEXT]))


def compare(
    before: Tokenizer, after: Tokenizer, old_ids: Sequence[int], texts: Iterable[str]
) -> tuple[int, int]:
    """(texts, tokens) compared. ConversionError for the first text whose tokens are not those of before.

    old_ids: of each id of `after`.
    """
    n_texts = n_tokens = 0
    for text in texts:
        expected = before.encode(text, add_bos=False, add_eos=False)
        found = [old_ids[token_id] for token_id in after.encode(text, add_bos=False, add_eos=False)]
        if found != expected:
            place = next(
                (i for i, pair in enumerate(zip(expected, found, strict=False)) if pair[0] != pair[1]), 0
            )
            raise ConversionError(
                f"[vocab] expected the same tokens after the trim, got others from token {place} of the text"
                f" {text[:40]!r}: this is an error of the trim, convert without it"
            )
        n_texts += 1
        n_tokens += len(expected)
    return n_texts, n_tokens

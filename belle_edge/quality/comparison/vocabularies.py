"""Whether two models speak of the same tokens: only then their probabilities can be compared."""

from __future__ import annotations

from ...errors import ConversionError, excerpt
from ...text.vocabulary import TokenType, Vocabulary


def common_rows(mine: Vocabulary, other: Vocabulary, *, name: str) -> int:
    """How many tokens a reference and a candidate both have. One may have more rows that only pad its matrices.

    name: of the candidate, for messages. Raises ConversionError for other tokens.
    """
    n_common = min(len(mine), len(other))
    for place in range(n_common):
        if mine.tokens[place] != other.tokens[place] and not (
            _is_padding(mine, place) and _is_padding(other, place)
        ):
            raise ConversionError(
                f"[{name}] token {place} is {excerpt(other.tokens[place])}, but {excerpt(mine.tokens[place])} in the"
                " reference: only models with the same vocabulary can be compared"
            )
    longer = mine if len(mine) > n_common else other
    real = next((place for place in range(n_common, len(longer)) if not _is_padding(longer, place)), None)
    if real is not None:
        raise ConversionError(
            f"[{name}] {len(other):,} tokens, but {len(mine):,} in the reference, and token {real}"
            f" ({excerpt(longer.tokens[real])}) is no padding: only models with the same vocabulary can be compared"
        )
    if list(mine.merges) != list(other.merges):
        raise ConversionError(
            f"[{name}] its tokenizer joins texts in another way than the reference's: only models with the same"
            " tokenizer can be compared"
        )
    return n_common


def _is_padding(vocabulary: Vocabulary, place: int) -> bool:
    """A row without a text of its own."""
    return vocabulary.types[place] == TokenType.UNUSED or not vocabulary.tokens[place]

"""The loss of each scored token, several texts in one batch, with a bounded number of rows of logits in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from belle_edge.backends.base import Backend, SequenceState, TokenIds
from belle_edge.quality.texts.scored_text import ScoredText

_LOGIT_BYTES = 64 << 20  # 66 rows of a vocabulary of 250,880
_BATCH_TOKENS = 1024  # of several texts together, in the native engine, whose passes have up to 512
_PIECE_TOKENS = 64  # llama.cpp's attention adds up in another order where fewer go through together


def batches(backend: Backend, texts: Sequence[ScoredText]) -> Iterator[Sequence[ScoredText]]:
    """The texts in order, as many together as fill the native engine's passes; a longer one alone.

    For llama.cpp each is alone: there a text's attention would go over the others' tokens, too, which takes longer and
    rounds otherwise than its own tool does.
    """
    most = _BATCH_TOKENS if backend.name == "native" else 1
    begin, n_tokens = 0, 0
    for place, text in enumerate(texts):
        if place > begin and n_tokens + len(text.ids) > most:
            yield texts[begin:place]
            begin, n_tokens = place, 0
        n_tokens += len(text.ids)
    if begin < len(texts):
        yield texts[begin:]


def token_losses(backend: Backend, texts: Sequence[ScoredText]) -> list[NDArray[np.float64]]:
    """-ln of the probability of each scored token after those before it: an array [n_scored] for each text.

    The texts go through the engine together. Raises what `Backend.forward` does.
    """
    sequences = [backend.new_sequence() for _ in texts]
    unscored: list[tuple[SequenceState, TokenIds]] = [
        (sequence, text.ids[: text.first - 1])
        for sequence, text in zip(sequences, texts, strict=True)
        if text.first > 1 and text.n_scored
    ]
    if unscored:
        backend.forward(unscored, logits="none")
    losses = [np.empty(text.n_scored, dtype=np.float64) for text in texts]
    for pieces in _rounds(texts, int(backend.config["vocab_size"])):
        batch: list[tuple[SequenceState, TokenIds]] = [
            (sequences[place], texts[place].ids[begin:end]) for place, begin, end in pieces
        ]
        for (place, begin, _), rows in zip(pieces, backend.forward(batch, logits="all"), strict=True):
            text = texts[place]
            targets = text.ids[begin + 1 : begin + 1 + len(rows)]  # one fewer at the end of the text
            n_done = begin + 1 - text.first
            losses[place][n_done : n_done + len(targets)] = row_losses(rows[: len(targets)], targets)
    return losses


def row_losses(logits: NDArray[np.float32], targets: NDArray[np.int32]) -> NDArray[np.float64]:
    """The losses [n] of `targets` [n] under `logits` [n, n_vocab], which are overwritten.

    As llama.cpp's tool computes them: exponentials in single precision, their sum in double.
    """
    places = np.arange(len(targets))
    logits -= logits.max(axis=1, keepdims=True)
    chosen = logits[places, targets].astype(np.float64)
    np.exp(logits, out=logits)
    return np.asarray(np.log(logits.sum(axis=1, dtype=np.float64)) - chosen)


def _rounds(texts: Sequence[ScoredText], n_vocab: int) -> Iterator[list[tuple[int, int, int]]]:
    """(index of a text, begin, end) of the tokens whose rows are computed together: as many as the bound on logits
    allows, shared between the texts."""
    most_rows = max(1, _LOGIT_BYTES // (4 * n_vocab))
    at = {place: text.first - 1 for place, text in enumerate(texts) if text.n_scored}
    while at:
        share = max(1, most_rows // len(at))
        share -= share % _PIECE_TOKENS if share > _PIECE_TOKENS else 0
        pieces = [
            (place, begin, min(begin + share, len(texts[place].ids)))
            for place, begin in islice(at.items(), most_rows)
        ]
        yield pieces
        at.update({place: end for place, _, end in pieces})
        at = {place: begin for place, begin in at.items() if begin < len(texts[place].ids)}

"""Scores of given tokens from an engine that hands out logits: few rows of them in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from .base import Backend, ScoredRows, ScoreEntry, SequenceState

_LOGITS_BYTES = 2**26  # 67 rows of a vocabulary of 250,880


def scores_from_logits(backend: Backend, batch: Sequence[ScoreEntry]) -> list[ScoredRows]:
    """What `Backend.forward_scores` promises, by `Backend.forward`."""
    _check(batch, int(backend.config["vocab_size"]))
    ids_of = [list(map(int, ids)) for _, ids, _, _ in batch]
    starts = [
        int(rows[0]) if len(rows) else len(ids) for ids, (_, _, rows, _) in zip(ids_of, batch, strict=True)
    ]
    heads = [
        (sequence, ids[:start])
        for ids, start, (sequence, *_) in zip(ids_of, starts, batch, strict=True)
        if start
    ]
    if heads:
        backend.forward(heads, logits="none")
    n_rows = max(1, _LOGITS_BYTES // (4 * int(backend.config["vocab_size"])))
    found = [ScoredRows(np.empty(len(rows)), np.empty(len(rows), bool)) for _, _, rows, _ in batch]
    tails = [
        (sequence, ids[start:]) for ids, start, (sequence, *_) in zip(ids_of, starts, batch, strict=True)
    ]
    for pieces in _pieces(tails, n_rows):
        logits = backend.forward([(tails[index][0], ids) for index, _, ids in pieces], logits="all")
        for (index, first, ids), table in zip(pieces, logits, strict=True):
            rows = np.asarray(batch[index][2]) - starts[index] - first
            here = np.flatnonzero((rows >= 0) & (rows < len(ids)))
            targets = np.asarray(batch[index][3])[here]
            found[index].logprobs[here], found[index].greedy[here] = _scored(table, rows[here], targets)
    return found


def _check(batch: Sequence[ScoreEntry], n_vocab: int) -> None:
    """ValueError unless the places and the tokens asked for exist."""
    for _, ids, rows, targets in batch:
        places, asked = np.asarray(rows), np.asarray(targets)
        if len(places) != len(asked):
            raise ValueError(f"scores: expected as many places as tokens, got {len(places)} and {len(asked)}")
        if len(places) and not (places[0] >= 0 and places[-1] < len(ids) and (np.diff(places) >= 0).all()):
            raise ValueError(f"scores: expected ascending places from 0 to {len(ids) - 1}")
        for token_id in asked[(asked < 0) | (asked >= n_vocab)]:
            raise ValueError(f"token id {token_id} is outside the vocabulary of {n_vocab}")


def _pieces(
    tails: Sequence[tuple[SequenceState, list[int]]], n_rows: int
) -> Iterator[list[tuple[int, int, list[int]]]]:
    """Passes of at most n_rows tokens: (index of the entry, place of the piece in its tail, the piece's tokens)."""
    piece: list[tuple[int, int, list[int]]] = []
    room = n_rows
    for index, (_, ids) in enumerate(tails):
        first = 0
        while first < len(ids):
            taken = ids[first : first + room]
            piece.append((index, first, taken))
            first, room = first + len(taken), room - len(taken)
            if not room:
                yield piece
                piece, room = [], n_rows
    if piece:
        yield piece


def _scored(
    logits: NDArray[np.float32], rows: NDArray[np.int64], targets: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Log-probability of each target in its row of `logits` [n_rows, n_vocab]; whether it is the row's best."""
    logprobs, greedy = np.empty(len(rows)), np.empty(len(rows), bool)
    for row in np.unique(rows):
        at = np.flatnonzero(rows == row)
        values = logits[row].astype(np.float64)
        best = int(values.argmax())
        total = values[best] + np.log(np.exp(values - values[best]).sum())
        logprobs[at] = values[targets[at]] - total
        greedy[at] = targets[at] == best
    return logprobs, greedy

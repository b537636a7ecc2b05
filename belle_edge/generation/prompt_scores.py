"""How probable the model finds a given text: the log-probability of each of its tokens after those before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..settings import integer
from .answer import TokenLogprob, check_length
from .loaded_model import LoadedModel
from .prompt_ids import ids_within

_PASS_TOKENS = 32  # logits of so many are in memory at a time: 32 MB with a vocabulary of 250,880


class ScoringStopped(Exception):
    """`stopped` said that nobody waits for the scores."""


def prompt_logprobs(
    model: LoadedModel,
    ids: Sequence[int],
    *,
    top_logprobs: int = 0,
    stopped: Callable[[], bool] = lambda: False,
) -> list[TokenLogprob]:
    """Natural log-probabilities of ids[1:], each after the ids before it: one entry fewer than ids.

    top_logprobs: how many of the most probable tokens to report beside each. stopped: asked now and then; where it
    returns true, ScoringStopped is raised. Raises ValueError for no ids, too many, or one out of range.
    """
    top_logprobs = integer("[logprobs] top_logprobs", top_logprobs, low=0)
    ids = ids_within("[logprobs] ids", ids, model.context)
    check_length(ids, model.context)
    sequence = model.backend.new_sequence()
    scores: list[TokenLogprob] = []
    for begin in range(0, len(ids) - 1, _PASS_TOKENS):
        if stopped():
            raise ScoringStopped
        piece = ids[begin : min(begin + _PASS_TOKENS, len(ids) - 1)]
        (rows,) = model.backend.forward([(sequence, piece)], logits="all")
        for row, token_id in zip(rows, ids[begin + 1 :], strict=False):
            scores.append(_scored(model, row, token_id, top_logprobs))
    return scores


def _scored(model: LoadedModel, row: NDArray[np.float32], token_id: int, n_top: int) -> TokenLogprob:
    """One token under `row` [n_vocab] of logits."""
    logits = row.astype(np.float64)
    highest = logits.max()
    logits -= highest + np.log(np.exp(logits - highest).sum())
    best: Sequence[int] = []
    if n_top:
        candidates = (
            np.flatnonzero(logits >= np.partition(logits, -n_top)[-n_top]) if n_top < len(logits) else None
        )
        found = np.arange(len(logits)) if candidates is None else candidates
        best = found[np.argsort(-logits[found], kind="stable")][:n_top].tolist()  # equal ones by lower id
    top = tuple((other, _text(model, other), float(logits[other])) for other in best)
    return TokenLogprob(token_id, _text(model, token_id), float(logits[token_id]), top)


def _text(model: LoadedModel, token_id: int) -> str:
    return model.tokenizer.token_bytes(token_id).decode("utf-8", "replace")

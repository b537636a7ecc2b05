"""How probable a model finds given continuations. What several of them come after is computed once.

The inputs are put into a tree of common beginnings. A sequence is forked where they part, and many stretches go through
one pass: the choices of a question, and the questions behind the same examples. An engine's rows do not depend on what
else is in a pass, so neither do the scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .._core import PAGE_TOKENS
from ..backends.base import Backend, ScoreEntry, SequenceState
from .loaded_model import LoadedModel
from .prefix_tree import Input, Stretch, prefix_tree

_PASS_TOKENS = 512  # what an engine computes in one piece
_CACHE_BYTES = 2**29  # keys and values that the stretches of a pass add


@dataclass(frozen=True)
class Scores:
    """Of one continuation."""

    logprobs: NDArray[np.float64]  # [n_tokens]: natural, each token after all before it
    is_greedy: bool  # whether the most probable token came each time

    @property
    def total(self) -> float:
        """The continuation's log-probability."""
        return float(self.logprobs.sum())


@dataclass
class _Gathered:
    """What is known of one continuation so far."""

    n_missing: int
    logprobs: list[float] = field(default_factory=list)
    is_greedy: bool = True


Waiting = tuple["SequenceState | None", Stretch]  # what the sequence holds is what comes before the stretch


def score(
    model: LoadedModel, prefix_ids: Sequence[int], continuations: Sequence[Sequence[int]]
) -> list[tuple[float, bool]]:
    """(natural log-probability, whether greedy decoding writes it) of each continuation after `prefix_ids`.

    ValueError for no prefix, an id out of range, or more tokens than the context.
    """
    requests = [(prefix_ids, continuation) for continuation in continuations]
    found = dict(scores_of(model, requests))
    return [(found[index].total, found[index].is_greedy) for index in range(len(requests))]


def scores_of(
    model: LoadedModel,
    requests: Sequence[tuple[Sequence[int], Sequence[int]]],
    beginning: SequenceState | None = None,
) -> Iterator[tuple[int, Scores]]:
    """Scores of pairs of a prefix and its continuation, with their index, in the order in which they get known.

    beginning: holds tokens that all prefixes begin with, fewer than each has; it stays as it is. Closing the iterator
    lets go of all memory. Raises ValueError, before anything is computed, for an empty prefix and for more tokens than
    the context holds (the last token of a continuation is not fed); for ids out of range when their pass comes.
    """
    for index, (prefix, continuation) in enumerate(requests):
        _check(index, prefix, continuation, model.context)
    asked = [index for index, (_, continuation) in enumerate(requests) if continuation]
    inputs = [
        Input([*prefix, *continuation[:-1]], len(prefix) - 1, continuation)
        for prefix, continuation in (requests[index] for index in asked)
    ]
    gathered = [_Gathered(len(one.targets)) for one in inputs]
    for index, (_, continuation) in enumerate(requests):
        if not continuation:
            yield index, Scores(np.zeros(0), True)
    for place in _walk(model.backend, inputs, gathered, beginning):
        yield asked[place], Scores(np.array(gathered[place].logprobs), gathered[place].is_greedy)


def _walk(
    backend: Backend, inputs: Sequence[Input], gathered: Sequence[_Gathered], beginning: SequenceState | None
) -> Iterator[int]:
    """Compute the tree of the inputs; yields each input whose last score has just been added to `gathered`."""
    start = 0 if beginning is None else beginning.length
    waiting: list[Waiting] = [(beginning, root) for root in prefix_tree(inputs, start)]
    while waiting:
        batch = _next_batch(waiting, int(backend.details["kv_bytes_per_token"]))
        entries: list[ScoreEntry] = [
            (
                backend.new_sequence() if before is None else before.fork(),
                stretch.ids,
                stretch.rows,
                stretch.targets,
            )
            for before, stretch in batch
        ]
        for (_, stretch), rows in zip(batch, backend.forward_scores(entries), strict=True):
            for owner, logprob, greedy in zip(
                stretch.owners, rows.logprobs.tolist(), rows.greedy.tolist(), strict=True
            ):
                known = gathered[owner]
                known.logprobs.append(logprob)
                known.is_greedy &= greedy
                known.n_missing -= 1
                if not known.n_missing:
                    yield owner
        for (_, stretch), (sequence, *_) in zip(batch, entries, strict=True):
            waiting += [(sequence, below) for below in stretch.below]


def _next_batch(waiting: list[Waiting], kv_bytes_per_token: int) -> list[Waiting]:
    """Take what goes through the next pass from the end of `waiting`: at least one stretch."""
    batch: list[Waiting] = []
    n_tokens = n_bytes = 0
    while waiting:
        stretch = waiting[-1][1]
        n_tokens += len(stretch.ids)
        n_pages = -(-stretch.end // PAGE_TOKENS) - stretch.begin // PAGE_TOKENS
        n_bytes += n_pages * PAGE_TOKENS * kv_bytes_per_token
        if batch and (n_tokens > _PASS_TOKENS or n_bytes > _CACHE_BYTES):
            break
        batch.append(waiting.pop())
    return batch


def _check(index: int, prefix: Sequence[int], continuation: Sequence[int], context: int) -> None:
    if not prefix:
        raise ValueError(f"[scores] request {index}: expected a prefix of one token or more, got none")
    n_fed = len(prefix) + len(continuation) - 1
    if n_fed > context:
        raise ValueError(
            f"[scores] request {index}: {n_fed} tokens to compute, but the context has {context}: cut its beginning"
        )

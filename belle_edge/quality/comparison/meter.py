"""Numbers of one candidate, position by position, and what they come to for each language."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...divergence import kl_divergence, log_softmax
from ...errors import ModelFormatError
from .engines import Floats
from .passages import Passage
from .pieces import Piece
from .result import ALL, Histogram, Measures, Share

HISTOGRAM_EDGES = tuple(
    float(f"{10.0 ** (step / 2):.3g}") for step in range(-12, 3)
)  # 1e-6 to 10, two a decade
_VALUES = 4 << 20  # of probabilities in double precision at a time
_TOP = 5
_MOST_LOSS = 700.0  # above it a perplexity is infinite

Doubles = NDArray[np.float64]


class Meter:
    """Takes logits piece by piece."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._passages = passages
        n = sum(passage.n_positions for passage in passages)
        self.kl: Doubles = np.zeros(n)
        self._loss: Doubles = np.full(n, np.nan)  # NaN: no token follows
        self._reference_loss: Doubles = np.full(n, np.nan)
        self._top1 = np.zeros(n, bool)
        self._top5: Doubles = np.zeros(n)
        self._broken = np.zeros(n, bool)

    def add(self, piece: Piece, reference: Floats, candidate: Floats) -> None:
        """Logits of both at the positions of a piece, [n_positions, n_vocab]."""
        step = max(1, _VALUES // reference.shape[1])
        for start in range(0, piece.n_positions, step):
            part = slice(start, start + step)
            place = piece.place + start
            self._add_rows(place, piece.targets[part], reference[part], candidate[part])

    def _add_rows(self, place: int, targets: NDArray[np.int32], expected: Floats, found: Floats) -> None:
        rows = slice(place, place + len(expected))
        if not np.isfinite(expected).all():
            raise ModelFormatError("[reference] its logits are not finite numbers: it is damaged")
        broken: NDArray[np.bool_] = np.logical_not(np.isfinite(found).all(axis=1))
        self._broken[rows] = broken
        if broken.any():
            found = np.where(broken[:, np.newaxis], np.float32(0), found)
        self._top1[rows] = expected.argmax(axis=1) == found.argmax(axis=1)
        self._top1[rows] &= ~broken
        self._top5[rows] = _shared_top(expected, found)
        sure, guess = log_softmax(expected), log_softmax(found)
        self.kl[rows] = np.maximum(kl_divergence(sure, guess), 0.0)
        at = np.arange(len(targets))
        self._loss[place : place + len(targets)] = -guess[at, targets]
        self._reference_loss[place : place + len(targets)] = -sure[at, targets]

    def languages(self) -> dict[str, Measures]:
        """Measures of all positions together, and of each language."""
        names = list(dict.fromkeys(passage.language for passage in self._passages))
        counts = [passage.n_positions for passage in self._passages]
        of_position = np.repeat([names.index(passage.language) for passage in self._passages], counts)
        found = {ALL: self._measures(np.ones(len(self.kl), bool))}
        return found | {name: self._measures(of_position == place) for place, name in enumerate(names)}

    def first_words(self) -> Share:
        """Of the dialogues: how many answers begin with the reference's token."""
        same = [bool(self._top1[place]) for place, _ in self._prompts()]
        return Share(sum(same), len(same))

    def worst_prompts(self) -> list[tuple[int, float]]:
        """(index of the passage, mean KL of its answer), the largest first."""
        found = []
        for place, index in self._prompts():
            passage = self._passages[index]
            end = place + passage.end - passage.answer_at
            found.append((index, float(self.kl[place:end].mean())))
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))

    def _prompts(self) -> list[tuple[int, int]]:
        """(place of the answer's first position, index of the passage) of each dialogue."""
        ends = np.cumsum([passage.n_positions for passage in self._passages])
        return [
            (int(end) - passage.end + passage.answer_at, index)
            for index, (end, passage) in enumerate(zip(ends, self._passages, strict=True))
            if passage.prompt is not None
        ]

    def _measures(self, chosen: NDArray[np.bool_]) -> Measures:
        kl = self.kl[chosen]
        known = chosen & np.isfinite(self._loss)
        loss, reference_loss = self._loss[known], self._reference_loss[known]
        perplexity, error = _perplexity(loss)
        reference_perplexity, reference_error = _perplexity(reference_loss)
        _, ratio_error = _perplexity(loss - reference_loss)
        return Measures(
            n_tokens=len(kl),
            kl_mean=float(kl.mean()),
            kl_error=_standard_error(kl),
            kl_median=float(np.median(kl)),
            kl_99=float(np.percentile(kl, 99)),
            kl_max=float(kl.max()),
            kl_histogram=_histogram(kl),
            top1=float(self._top1[chosen].mean()),
            top5=float(self._top5[chosen].mean()),
            perplexity=perplexity,
            perplexity_error=error,
            reference_perplexity=reference_perplexity,
            reference_perplexity_error=reference_error,
            ratio_error=ratio_error,
            n_broken=int(self._broken[chosen].sum()),
        )


def _shared_top(expected: Floats, found: Floats) -> Doubles:
    """Share of the most probable tokens of each row that both have."""
    n_top = min(_TOP, expected.shape[1])
    best = [np.argpartition(rows, -n_top, axis=1)[:, -n_top:] for rows in (expected, found)]
    return np.array([len(np.intersect1d(*pair)) / n_top for pair in zip(*best, strict=True)])


def _perplexity(loss: Doubles) -> tuple[float, float]:
    """exp of the mean loss [n], and its standard error, as llama.cpp computes it; 1 where nothing was scored."""
    if not len(loss):
        return 1.0, 0.0
    mean = float(loss.mean())
    if mean > _MOST_LOSS:
        return math.inf, math.inf
    return math.exp(mean), _standard_error(loss) * math.exp(mean)


def _standard_error(values: Doubles) -> float:
    """Of the mean of values [n]: sqrt((mean of squares - square of mean) / (n - 1))"""
    return float(values.std() / math.sqrt(len(values) - 1)) if len(values) > 1 else 0.0


def _histogram(kl: Doubles) -> Histogram:
    bins = np.searchsorted(HISTOGRAM_EDGES, kl, side="right")
    counts = np.bincount(bins, minlength=len(HISTOGRAM_EDGES) + 1)
    return Histogram(HISTOGRAM_EDGES, tuple(int(count) for count in counts))

"""Perplexity from losses, and how far it may be off: llama.cpp's formula."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Estimate:
    """Over all tokens that were scored."""

    n_scored: int
    loss: float  # mean, nats per token
    perplexity: float  # exp(loss)
    error: (
        float | None
    )  # standard error of the perplexity; None for one token, and where all losses are the same


class LossSums:
    """Adds up losses; the estimate of those so far is there at any time."""

    def __init__(self) -> None:
        self._n = 0
        self._sum = self._sum_of_squares = 0.0

    def add(self, losses: NDArray[np.float64]) -> None:
        """Add losses [n], in nats."""
        self._n += len(losses)
        self._sum += float(losses.sum())
        self._sum_of_squares += float((losses * losses).sum())

    def estimate(self) -> Estimate:
        """The error is perplexity * sqrt((mean of squares - squared mean) / (n - 1)), as in llama-perplexity. It takes
        tokens for independent. Raises ValueError before the first loss."""
        if not self._n:
            raise ValueError("[perplexity] no token was scored")
        loss = self._sum / self._n
        perplexity = math.exp(loss)
        variance = self._sum_of_squares / self._n - loss * loss
        error = perplexity * math.sqrt(variance / (self._n - 1)) if self._n > 1 and variance > 0 else None
        return Estimate(self._n, loss, perplexity, error)

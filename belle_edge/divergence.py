"""Divergence between two models' next-token distributions, and perplexity, from logits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Divergence:
    """Means over tokens of one model (candidate) against another (reference) on the same texts."""

    n_tokens: int
    kl_mean: float  # KL(reference || candidate), nats per token
    kl_median: float
    kl_99: float  # its 99th percentile
    top1_agreement: float  # share of positions where both prefer the same token
    perplexity: float  # of the candidate on the texts
    reference_perplexity: float


def log_softmax(logits: FloatArray) -> NDArray[np.float64]:
    """Log-probabilities [n_tokens, n_vocab] of logits [n_tokens, n_vocab], in double precision."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def kl_divergence(reference: NDArray[np.float64], candidate: NDArray[np.float64]) -> NDArray[np.float64]:
    """KL(reference || candidate) per position [n_tokens], in nats, from log-probabilities [n_tokens, n_vocab]."""
    return np.asarray((np.exp(reference) * (reference - candidate)).sum(axis=-1))


class DivergenceMeter:
    """Accumulates texts one at a time, so that no more than one text's logits are held."""

    def __init__(self) -> None:
        self._kl: list[NDArray[np.float64]] = []
        self._agreements: list[NDArray[np.bool_]] = []
        self._losses: list[NDArray[np.float64]] = []
        self._reference_losses: list[NDArray[np.float64]] = []

    def add(self, ids: NDArray[np.int32], reference: FloatArray, candidate: FloatArray) -> None:
        """Add one text: ids [n_tokens] and both models' logits [n_tokens, n_vocab] for it.

        Raises ValueError when the shapes disagree.
        """
        if reference.shape != candidate.shape or len(ids) != len(reference):
            raise ValueError(
                f"[divergence] {len(ids)} ids, reference {reference.shape}, candidate {candidate.shape}: "
                "expected the same tokens and vocabulary"
            )
        expected, got = log_softmax(reference), log_softmax(candidate)
        self._kl.append(kl_divergence(expected, got))
        self._agreements.append(expected.argmax(axis=-1) == got.argmax(axis=-1))
        targets = np.asarray(ids[1:], dtype=np.int64)
        rows = np.arange(len(targets))
        self._losses.append(-got[rows, targets])
        self._reference_losses.append(-expected[rows, targets])

    def result(self) -> Divergence:
        """The means so far. Raises ValueError before the first text."""
        if not self._kl:
            raise ValueError("[divergence] no text was added")
        kl = np.concatenate(self._kl)
        return Divergence(
            n_tokens=len(kl),
            kl_mean=float(kl.mean()),
            kl_median=float(np.median(kl)),
            kl_99=float(np.percentile(kl, 99)),
            top1_agreement=float(np.concatenate(self._agreements).mean()),
            perplexity=float(np.exp(np.concatenate(self._losses).mean())),
            reference_perplexity=float(np.exp(np.concatenate(self._reference_losses).mean())),
        )

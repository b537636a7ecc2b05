"""The measures themselves, against cases with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from belle_edge.divergence import DivergenceMeter, kl_divergence, log_softmax


def test_log_softmax_survives_huge_logits() -> None:
    rows = log_softmax(np.array([[1e4, 1e4, -1e4], [0.0, 0.0, 0.0]], dtype=np.float32))
    np.testing.assert_allclose(np.exp(rows).sum(axis=-1), 1.0)
    np.testing.assert_allclose(np.exp(rows[1]), 1 / 3)


def test_kl_of_two_coins() -> None:
    fair, biased = np.log([[0.5, 0.5]]), np.log([[0.9, 0.1]])
    np.testing.assert_allclose(kl_divergence(fair, biased), 0.5 * np.log(0.5 / 0.9) + 0.5 * np.log(0.5 / 0.1))


def test_meter_of_a_model_against_itself_and_another() -> None:
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 50, 20).astype(np.int32)
    logits = rng.standard_normal((20, 50)).astype(np.float32)
    same, other = DivergenceMeter(), DivergenceMeter()
    same.add(ids, logits, logits)
    other.add(ids, logits, -logits)
    assert same.result().kl_mean == 0.0
    assert same.result().top1_agreement == 1.0
    assert same.result().perplexity == pytest.approx(same.result().reference_perplexity)
    assert other.result().kl_mean > 0.1
    assert other.result().top1_agreement < 0.2


def test_uniform_model_has_the_vocabulary_as_perplexity() -> None:
    meter = DivergenceMeter()
    logits = np.zeros((5, 32), dtype=np.float32)
    meter.add(np.arange(5, dtype=np.int32), logits, logits)
    assert meter.result().perplexity == pytest.approx(32.0)


def test_misuse_is_named() -> None:
    with pytest.raises(ValueError, match="no text"):
        DivergenceMeter().result()
    with pytest.raises(ValueError, match="same tokens and vocabulary"):
        DivergenceMeter().add(np.zeros(3, dtype=np.int32), np.zeros((3, 4), "f4"), np.zeros((3, 5), "f4"))

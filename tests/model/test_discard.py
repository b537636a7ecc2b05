"""Forgetting the middle of a sequence, and log-probabilities of sampled tokens.

In a model of one layer keys and values depend on their own token and position alone, so discarding positions must
equal a fresh prefill of the tokens that are left.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from belle_edge import _core

from .gguf_models import RANDOM_MODELS, one_layer

Ids = NDArray[np.int32]
N_TOKENS = 100  # four KV pages


@pytest.fixture(scope="module", params=["llama", "bloom"])
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = one_layer(RANDOM_MODELS[request.param]())
    return model.write(tmp_path_factory.mktemp("one-layer") / f"{request.param}.gguf")


@pytest.mark.parametrize(("begin", "end"), [(0, 1), (3, 40), (10, 74), (64, 100), (0, 100), (5, 5)])
@pytest.mark.parametrize(("kv_type", "tolerance"), [("f32", 1e-4), ("f16", 3e-3), ("q8", 6e-2)])
def test_discard_equals_a_prefill_of_the_rest(
    tier: str, path: Path, ids: Ids, begin: int, end: int, kv_type: str, tolerance: float
) -> None:
    model = _core.Model(str(path), isa=tier, threads=2, kv_type=kv_type)
    kept, fresh = model.new_sequence(), model.new_sequence()
    model.forward([(kept, ids[:N_TOKENS])], logits="none")
    before = kept.fork()
    kept.discard(begin, end)
    rest = np.concatenate([ids[:begin], ids[end:N_TOKENS]])
    np.testing.assert_array_equal(kept.tokens(), rest)
    if len(rest) > 0:
        model.forward([(fresh, rest)], logits="none")

    got = model.forward([(kept, ids[200:210])], logits="all")[0]
    expected = model.forward([(fresh, ids[200:210])], logits="all")[0]
    assert np.abs(got - expected).max() <= tolerance * np.abs(expected).max()
    if model.config["architecture"] == "bloom":  # ALiBi: nothing was rounded again
        np.testing.assert_array_equal(got, expected)

    # The fork taken before still holds everything.
    untouched = model.new_sequence()
    model.forward([(untouched, ids[:N_TOKENS])], logits="none")
    np.testing.assert_array_equal(model.forward([(before, [7])])[0], model.forward([(untouched, [7])])[0])


def test_discard_refuses_bad_ranges(path: Path, ids: Ids) -> None:
    model = _core.Model(str(path))
    sequence = model.new_sequence()
    model.forward([(sequence, ids[:10])], logits="none")
    for begin, end in [(5, 4), (0, 11), (11, 11)]:
        with pytest.raises(ValueError, match="cannot discard"):
            sequence.discard(begin, end)
    assert sequence.length == 10


def test_logprobs_are_the_models_own(path: Path, ids: Ids) -> None:
    """Settings change the choice, not the reported distribution."""
    model = _core.Model(str(path))
    logits = model.forward([(model.new_sequence(), ids[:20])])[0][0].astype(np.float64)
    expected = logits - logits.max() - np.log(np.exp(logits - logits.max()).sum())
    order = np.argsort(-logits, kind="stable")
    banned = int(order[0])
    sampler = _core.Sampler(temperature=0.0, banned=[banned])
    chosen, logprob, top = model.forward_sample([(model.new_sequence(), ids[:20], sampler)], top_logprobs=5)[
        0
    ]
    assert chosen == order[1]
    assert logprob == pytest.approx(expected[chosen], abs=1e-5)
    assert [token for token, _ in top] == list(order[:5])
    np.testing.assert_allclose([p for _, p in top], expected[order[:5]], atol=1e-5)
    again = model.forward_sample([(model.new_sequence(), ids[:20], sampler)], top_logprobs=0)
    assert again[0][0] == chosen
    assert again[0][2] == []
    with pytest.raises(ValueError, match="top_logprobs"):
        model.forward_sample([(model.new_sequence(), ids[:20], sampler)], top_logprobs=-2)

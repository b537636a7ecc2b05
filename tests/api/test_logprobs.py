"""Log-probabilities, penalties and their scope, bias and bans, as a generation applies them."""

from __future__ import annotations

import numpy as np
import pytest

from belle_edge import Belle, ContextLengthError
from belle_edge.generation.prompt_scores import ScoringStopped, prompt_logprobs

QUESTION = "用一句话介绍北京。"


def test_logprobs_are_the_models_own(tiny_zh: Belle) -> None:
    settings = {"seed": 2, "temperature": 0.7, "repetition_penalty": 1.3, "max_tokens": 12}
    result = tiny_zh.generate(QUESTION, top_logprobs=3, **settings)
    plain = tiny_zh.generate(QUESTION, **settings)
    assert plain.logprobs is None
    assert plain.token_ids == result.token_ids, "asking for them changes nothing"
    assert result.logprobs is not None
    assert tuple(token.token_id for token in result.logprobs) == result.token_ids
    ids = tiny_zh.chat_format.encode(tiny_zh.tokenizer, [{"role": "user", "content": QUESTION}])
    sequence = tiny_zh.backend.new_sequence()
    parts = [tiny_zh.backend.forward([(sequence, ids)])[0]]
    for token_id in result.token_ids:
        parts.append(tiny_zh.backend.forward([(sequence, [token_id])], decode=True)[0])
    rows = np.concatenate(parts).astype(np.float64)
    for token, row in zip(result.logprobs, rows, strict=False):
        expected = row - np.log(np.exp(row - row.max()).sum()) - row.max()
        assert token.logprob == pytest.approx(expected[token.token_id], abs=1e-4)
        best = np.argsort(-expected, kind="stable")[:3]
        assert [token_id for token_id, _, _ in token.top] == best.tolist()
        np.testing.assert_allclose([logprob for _, _, logprob in token.top], expected[best], atol=1e-4)
        assert token.text == tiny_zh.tokenizer.token_bytes(token.token_id).decode("utf-8", "replace")


def test_top_logprobs_zero_scores_the_chosen_tokens_only(tiny: Belle) -> None:
    result = tiny.generate([5, 6], raw=True, temperature=0, max_tokens=4, banned=[2], top_logprobs=0)
    assert [token.top for token in result.logprobs or ()] == [()] * 4
    everything = tiny.generate([5, 6], raw=True, temperature=0, max_tokens=1, banned=[2], top_logprobs=10**6)
    (token,) = everything.logprobs or ()
    assert len(token.top) == len(tiny.tokenizer)
    assert sum(np.exp(logprob) for _, _, logprob in token.top) == pytest.approx(1, abs=1e-5)


def test_the_end_token_is_not_in_the_logprobs(tiny: Belle) -> None:
    result = tiny.generate([5], raw=True, temperature=0, logit_bias={2: 1e6}, top_logprobs=1)
    assert (result.finish_reason, result.logprobs, result.text) == ("stop", (), "")


def test_the_scope_of_penalties(tiny: Belle) -> None:
    prompt = [40, 41, 42]
    favourite = {40: 50.0}
    settings = {"raw": True, "temperature": 0, "max_tokens": 4, "logit_bias": favourite, "banned": [2]}
    assert tiny.generate(prompt, **settings).token_ids == (40, 40, 40, 40)
    everywhere = tiny.generate(prompt, presence_penalty=1000.0, **settings)
    assert 40 not in everywhere.token_ids, "the prompt counts"
    answer = tiny.generate(prompt, presence_penalty=1000.0, penalty_scope="answer", **settings)
    assert answer.token_ids.count(40) == 1, "the answer counts"
    assert answer.token_ids[0] == 40


def test_frequency_counts_and_presence_does_not(tiny: Belle) -> None:
    settings = {"raw": True, "temperature": 0, "max_tokens": 5, "banned": [2], "penalty_scope": "answer"}
    bias = {40: 1000.0, 41: 997.0}
    present = tiny.generate([5], logit_bias=bias, presence_penalty=100.0, **settings)
    frequent = tiny.generate([5], logit_bias=bias, frequency_penalty=100.0, **settings)
    assert sorted(present.token_ids[:2]) == [40, 41]
    assert set(present.token_ids[2:]) == {40}, "both were seen: again the first"
    assert frequent.token_ids == (40, 41, 40, 41, 40)


@pytest.mark.parametrize("name", ["banned", "logit_bias"])
def test_ids_outside_the_vocabulary_are_refused(tiny: Belle, name: str) -> None:
    value = [301] if name == "banned" else {301: 1.0}
    with pytest.raises(ValueError, match=f"{name}: id 301 is outside the vocabulary of 301"):
        tiny.generate([5], raw=True, **{name: value})


def test_min_p_keeps_the_probable(tiny_zh: Belle) -> None:
    greedy = tiny_zh.generate(QUESTION, raw=True, temperature=0, max_tokens=8)
    strict = tiny_zh.generate(QUESTION, raw=True, temperature=1.0, min_p=1.0, seed=3, max_tokens=8)
    assert strict.token_ids == greedy.token_ids


def test_a_stream_tells_those_so_far(tiny_zh: Belle) -> None:
    stream = tiny_zh.stream("你好", temperature=0, max_tokens=8, top_logprobs=1)
    assert len(stream.logprobs) == 0
    for n_pieces, _ in enumerate(stream, 1):
        assert len(stream.logprobs) >= n_pieces
    assert tuple(stream.logprobs) == stream.result.logprobs


def test_of_a_prompt(tiny: Belle) -> None:
    """Whatever the pieces are in which they are computed: the same as of all logits at once."""
    ids = [5 + at % 40 for at in range(100)]
    rows = tiny.logits(ids).astype(np.float64)
    rows -= rows.max(axis=1, keepdims=True)
    rows -= np.log(np.exp(rows).sum(axis=1, keepdims=True))
    scores = prompt_logprobs(tiny, ids, top_logprobs=3)
    assert [score.token_id for score in scores] == ids[1:]
    np.testing.assert_allclose([score.logprob for score in scores], rows[range(99), ids[1:]], atol=1e-6)
    for score, row in zip(scores, rows, strict=False):
        assert [token_id for token_id, _, _ in score.top] == np.argsort(-row, kind="stable")[:3].tolist()
    assert prompt_logprobs(tiny, ids[:1]) == []
    n_vocab = len(tiny.tokenizer)
    assert len(prompt_logprobs(tiny, ids[:3], top_logprobs=n_vocab + 5)[0].top) == n_vocab


def test_of_a_prompt_that_cannot_be_scored(tiny: Belle) -> None:
    for call in (prompt_logprobs, lambda model, ids: model.logits(ids)):
        with pytest.raises(ContextLengthError, match="has 200 tokens, the context holds 128"):
            call(tiny, [5] * 200)
    with pytest.raises(ValueError, match="empty"):
        prompt_logprobs(tiny, [])
    with pytest.raises(ValueError, match="top_logprobs"):
        prompt_logprobs(tiny, [5, 6], top_logprobs=-1)
    with pytest.raises(ScoringStopped):
        prompt_logprobs(tiny, [5] * 100, stopped=lambda: True)

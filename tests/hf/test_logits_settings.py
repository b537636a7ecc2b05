"""Settings that act on logits, scores that are reported, and what ends an answer: as in transformers."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from .conftest import Pair

PROMPTS = {
    "bloom": "Human: 写一首关于春天的诗。\n\nAssistant:",
    "llama": "Once upon a time, there was a little",
}


def prompt_of(pair: Pair) -> Any:
    return pair.hf_tokenizer(PROMPTS[pair.kind], return_tensors="pt")


def answer_of(pair: Pair, n_tokens: int = 24, **settings: Any) -> list[int]:
    inputs = prompt_of(pair)
    row = pair.model.generate(**inputs, max_new_tokens=n_tokens, **settings)[0].tolist()
    return row[inputs["input_ids"].shape[1] :]


@pytest.mark.slow
@pytest.mark.parametrize("do_sample", [False, True])
@pytest.mark.parametrize(
    "name",
    [
        "bad_words_ids",
        "sequence_bias",
        "sequence_bias list",
        "begin_suppress_tokens",
        "forced_eos_token_id",
        "prefix_allowed_tokens_fn",
        "logits_processor",
        "all",
    ],
)
def test_settings(pair: Pair, name: str, do_sample: bool) -> None:
    plain = answer_of(pair)

    class Flip:
        """Comes after the repetition penalty, so its place can be seen."""

        def __call__(self, _ids: Any, scores: Any) -> Any:
            return 3.0 - scores.abs() / 2

    each: dict[str, dict[str, Any]] = {
        "bad_words_ids": {"bad_words_ids": [plain[2:4], [plain[0]], [2]]},
        "sequence_bias": {"sequence_bias": {tuple(plain[1:3]): -4.0, (plain[0],): -2.5}},
        "sequence_bias list": {"sequence_bias": [[[plain[0]], -30.0], [[9], 1.0]]},
        "begin_suppress_tokens": {"begin_suppress_tokens": [plain[0], plain[1]]},
        "forced_eos_token_id": {"forced_eos_token_id": 2, "eos_token_id": 2},
        "prefix_allowed_tokens_fn": {
            "prefix_allowed_tokens_fn": lambda _batch, ids: [5, 9, int(ids[-1]) // 2]
        },
        "logits_processor": {"logits_processor": [Flip()]},
    }
    chosen = each.get(name) or {
        key: value for one in each.values() for key, value in one.items() if key != "prefix_allowed_tokens_fn"
    }
    settings: dict[str, Any] = {**chosen, "max_new_tokens": 24, "repetition_penalty": 1.2}
    if do_sample:
        settings |= {"do_sample": True, "top_k": 1}  # one choice: no draw that could differ
    theirs = pair.hf_model.generate(**prompt_of(pair), **settings).tolist()
    assert pair.model.generate(**prompt_of(pair), **settings).tolist() == theirs


def test_a_forced_first_token(bloom: Pair) -> None:
    settings = {"forced_bos_token_id": 7, "max_new_tokens": 5, "begin_suppress_tokens": [5]}
    torch = pytest.importorskip("torch")
    ids = torch.tensor([[1]])
    theirs = bloom.hf_model.generate(ids, attention_mask=torch.ones_like(ids), **settings).tolist()
    assert bloom.model.generate(ids, **settings).tolist() == theirs
    assert theirs[0][1] == 7


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"repetition_penalty": 1.3, "renormalize_logits": True},
        {"do_sample": True, "top_k": 9, "temperature": 0.7},
        {"do_sample": True, "top_p": 0.8, "top_k": 0, "min_p": 0.02},
    ],
    ids=str,
)
def test_scores_and_logits(pair: Pair, settings: dict[str, Any]) -> None:
    """Of the first step, where both have the same prompt; sampling goes its own ways after it."""
    asked = {
        "return_dict_in_generate": True,
        "output_scores": True,
        "output_logits": True,
        "max_new_tokens": 3,
    }
    theirs = pair.hf_model.generate(**prompt_of(pair), **asked, **settings)
    ours = pair.model.generate(**prompt_of(pair), **asked, **settings)
    assert len(ours.scores) == len(ours.logits) == 3
    for name in ("scores", "logits"):
        mine, other = np.asarray(getattr(ours, name)[0]), np.asarray(getattr(theirs, name)[0])
        assert mine.shape == other.shape
        assert (np.isfinite(mine) == np.isfinite(other)).all()
        finite = np.isfinite(other)
        np.testing.assert_allclose(mine[finite], other[finite], rtol=2e-3, atol=2e-3)
    seeded = {**settings, "seed": 3} if settings.get("do_sample") else settings
    plain = pair.model.generate(**prompt_of(pair), max_new_tokens=3, **seeded)
    recorded = pair.model.generate(**prompt_of(pair), **asked, **seeded)
    assert plain.tolist() == recorded.sequences.tolist(), "recording changes nothing"
    assert recorded[0] is recorded.sequences
    assert recorded["logits"] is recorded.logits
    with pytest.warns(UserWarning, match="return_dict_in_generate"):
        pair.model.generate(**prompt_of(pair), max_new_tokens=1, output_scores=True)


def test_rows_that_have_ended_have_zeros(bloom: Pair) -> None:
    inputs = bloom.tokenizer(["Human: 中国的首都是哪里？\n\nAssistant:", PROMPTS["bloom"]], padding=True)
    made = bloom.model.generate(
        inputs["input_ids"],
        attention_mask=inputs["attention_mask"],
        max_new_tokens=40,
        return_dict_in_generate=True,
        output_logits=True,
    )
    ended = [not np.asarray(step)[0].any() for step in made.logits]
    assert any(ended)
    assert ended == sorted(ended)
    assert all(np.asarray(step)[1].any() for step in made.logits)
    assert made.scores is None


def test_stop_strings_longer_than_any_window(pair: Pair) -> None:
    inputs = prompt_of(pair)
    endless = {"max_new_tokens": 90, "suppress_tokens": [2]}
    n_prompt, answer = inputs["input_ids"].shape[1], answer_of(pair, 90, suppress_tokens=[2])
    text = pair.tokenizer.decode(answer[2:70])
    assert len(pair.tokenizer(text, add_special_tokens=False)["input_ids"]) > 40
    row = pair.model.generate(**inputs, **endless, stop_strings=[text, "never"])[0].tolist()
    assert row[n_prompt:] == answer[:70]


def test_stop_strings_that_begin_in_the_prompt_and_special_ones(pair: Pair) -> None:
    inputs = prompt_of(pair)
    n_prompt, answer = inputs["input_ids"].shape[1], answer_of(pair)
    first = pair.tokenizer.decode(inputs["input_ids"][0].tolist() + answer[:1])
    settings = {"max_new_tokens": 24, "stop_strings": first[-4:]}
    theirs = pair.hf_model.generate(**inputs, **settings, tokenizer=pair.hf_tokenizer)
    ours = pair.model.generate(**inputs, **settings)
    assert ours.tolist() == theirs.tolist()
    assert ours.shape[1] == n_prompt + 1
    forced = pair.model.generate(
        **inputs,
        max_new_tokens=9,
        forced_eos_token_id=None,
        eos_token_id=[],
        sequence_bias={(2,): 1e4},
        stop_strings="</s>",
    )
    assert forced[0].tolist()[n_prompt:] == [2], "the text of a special token"


def test_max_time(bloom: Pair) -> None:
    inputs = prompt_of(bloom)
    slow = [lambda _ids, scores: (time.sleep(0.05), scores)[1]]
    row = bloom.model.generate(**inputs, max_new_tokens=40, max_time=0.12, logits_processor=slow)
    assert 1 <= row.shape[1] - inputs["input_ids"].shape[1] <= 4
    long = bloom.model.generate(**inputs, max_new_tokens=5, max_time=1e6)
    assert long.shape == bloom.model.generate(**inputs, max_new_tokens=5).shape
    for value in (0, -1.0, "1", float("nan")):
        with pytest.raises(ValueError, match="max_time"):
            bloom.model.generate(**inputs, max_time=value)


def test_position_ids(bloom: Pair) -> None:
    ids, mask = [[0, 0, 5, 6]], [[0, 0, 1, 1]]
    expected = bloom.model.generate(ids, attention_mask=mask, max_new_tokens=2)
    same = bloom.model.generate(ids, attention_mask=mask, position_ids=[[1, 1, 0, 1]], max_new_tokens=2)
    assert same.tolist() == expected.tolist()
    with pytest.raises(ValueError, match="position_ids: expected 1 rows, got 2"):
        bloom.model.generate(ids, attention_mask=mask, position_ids=[[1, 1, 0, 1]] * 2)
    with pytest.raises(ValueError, match="position_ids"):
        bloom.model.generate(ids, attention_mask=mask, position_ids=[[0, 1, 2, 3]], max_new_tokens=2)


def test_position_ids_and_tuples_of_a_forward_pass(bloom: Pair) -> None:
    ids, mask = [[0, 0, 5, 6]], [[0, 0, 1, 1]]
    expected = bloom.model(ids, mask).logits
    (same,) = bloom.model(ids, mask, position_ids=[[1, 1, 0, 1]], return_dict=False)
    assert same.tolist() == expected.tolist()
    with pytest.raises(ValueError, match="position_ids"):
        bloom.model(ids, mask, position_ids=[[0, 1, 2, 3]])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("bad_words_ids", value) for value in (5, "ab", [5], [[]], [[-1]], [[1.5]], [[10**6]])),
        *(("sequence_bias", value) for value in (5, {5: 1.0}, {(5,): "x"}, [[5]], {(10**6,): 1.0})),
        *(("begin_suppress_tokens", value) for value in (5, ["a"], [10**6], [-1])),
        *(("forced_eos_token_id", value) for value in ("2", 10**6, 1.5)),
        ("forced_bos_token_id", 10**6),
        ("suppress_tokens", [10**6]),
        *(("prefix_allowed_tokens_fn", value) for value in (5, lambda *_: [], lambda *_: [10**6])),
        *((name, 1) for name in ("output_scores", "output_logits", "return_dict_in_generate")),
    ],
)
def test_values_out_of_range(bloom: Pair, name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        bloom.model.generate([[5, 6]], max_new_tokens=2, **{name: value})

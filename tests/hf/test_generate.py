"""`generate` equals transformers' own on the same weights, and says what it does not do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from .conftest import Pair

PROMPTS = {
    "bloom": [
        "Human: 请解释什么是机器学习。\n\nAssistant:",
        "Human: 写一首关于春天的诗。\n\nAssistant:",
        "你好",
    ],
    "llama": ["Once upon a time, there was a little", "The dog", "One day Lily went to the park and saw a"],
}


def both(pair: Pair, prompt: Any, **settings: Any) -> tuple[Any, Any]:
    """The rows that ours and transformers' generate return, as lists."""
    inputs = pair.hf_tokenizer(prompt, return_tensors="pt")
    theirs = pair.hf_model.generate(**inputs, **settings)
    return pair.model.generate(
        **pair.tokenizer(prompt, return_tensors="pt"), **settings
    ).tolist(), theirs.tolist()


def padded(pair: Pair, prompts: list[str], side: str, pad_id: int) -> dict[str, Any]:
    """input_ids and attention_mask of prompts of different lengths."""
    torch = pytest.importorskip("torch")
    rows = [pair.hf_tokenizer(prompt)["input_ids"] for prompt in prompts]
    n_width = max(map(len, rows))
    fills = [[0] * (n_width - len(row)) for row in rows]
    left = side == "left"
    ids = [
        [pad_id] * len(f) + row if left else row + [pad_id] * len(f)
        for f, row in zip(fills, rows, strict=True)
    ]
    mask = [f + [1] * len(row) if left else [1] * len(row) + f for f, row in zip(fills, rows, strict=True)]
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"max_length": 100},
        {"max_new_tokens": 24},
        {"max_new_tokens": 1},
        {"max_new_tokens": 30, "repetition_penalty": 1.2},
        {"max_new_tokens": 30, "no_repeat_ngram_size": 2},
        {"max_new_tokens": 30, "repetition_penalty": 1.3, "no_repeat_ngram_size": 3},
        {"max_new_tokens": 16, "min_new_tokens": 14},
        {"max_length": 40, "min_length": 36},
        {"max_new_tokens": 20, "suppress_tokens": [5, 334, 410, 426]},
        {"max_new_tokens": 24, "eos_token_id": [2, 334, 426]},
        {"max_new_tokens": 24, "num_beams": 1, "use_cache": True, "do_sample": False},
    ],
    ids=str,
)
def test_greedy(pair: Pair, settings: dict[str, Any]) -> None:
    for prompt in PROMPTS[pair.kind][: 2 if pair.kind == "llama" else 1]:
        ours, theirs = both(pair, prompt, **settings)
        assert ours == theirs, pair.hf_tokenizer.decode(theirs[0])


def test_the_answers_end_with_eos(bloom: Pair) -> None:
    ours, theirs = both(bloom, "Human: 中国的首都是哪里？\n\nAssistant:", max_new_tokens=100)
    assert ours == theirs
    assert ours[0][-1] == 2


def test_left_padded_batch(pair: Pair) -> None:
    prompts = PROMPTS[pair.kind]
    pad_id = 3 if pair.kind == "bloom" else 0
    settings = {"max_new_tokens": 30, "pad_token_id": pad_id}
    inputs = padded(pair, prompts, "left", pad_id)
    theirs = pair.hf_model.generate(**inputs, **settings)
    ours = pair.model.generate(**inputs, **settings)
    assert ours.tolist() == theirs.tolist()
    assert ours.dtype == theirs.dtype
    without_mask = pair.model.generate(inputs["input_ids"], **settings)
    assert without_mask.tolist() == theirs.tolist()


@pytest.mark.slow
def test_right_padded_rows_get_the_same_answers(pair: Pair) -> None:
    prompts = PROMPTS[pair.kind]
    pad_id = 3 if pair.kind == "bloom" else 0
    settings = {"max_new_tokens": 30, "pad_token_id": pad_id, "repetition_penalty": 1.2}
    inputs = padded(pair, prompts, "right", pad_id)
    rows = pair.model.generate(**inputs, **settings)
    n_width = inputs["input_ids"].shape[1]
    for prompt, row in zip(prompts, rows.tolist(), strict=True):
        alone = both(pair, prompt, **settings)[1][0]
        answer = alone[len(pair.hf_tokenizer(prompt)["input_ids"]) :]
        assert row[n_width : n_width + len(answer)] == answer
        assert set(row[n_width + len(answer) :]) <= {pad_id}


def test_logits(pair: Pair) -> None:
    torch = pytest.importorskip("torch")
    inputs = padded(pair, PROMPTS[pair.kind], "left", 0)
    with torch.no_grad():
        theirs = pair.hf_model(**inputs).logits
    ours = pair.model(**inputs).logits
    assert ours.shape == theirs.shape
    visible = inputs["attention_mask"].bool()
    error = (ours - theirs)[visible].norm() / theirs[visible].norm()
    assert error < 1e-3
    assert not ours[~visible].any()
    assert pair.model(inputs["input_ids"][:1])[0].shape[0] == 1


def test_generation_config_objects(bloom: Pair) -> None:
    from transformers import GenerationConfig as TheirConfig

    from belle_edge.hf import GenerationConfig

    inputs = bloom.tokenizer(PROMPTS["bloom"][0], return_tensors="pt")
    expected = bloom.model.generate(**inputs, max_new_tokens=12, repetition_penalty=1.2).tolist()
    values = {"max_new_tokens": 12, "repetition_penalty": 1.2}
    for config in (values, TheirConfig(**values), GenerationConfig(**values)):
        assert bloom.model.generate(**inputs, generation_config=config).tolist() == expected
    shorter = bloom.model.generate(**inputs, generation_config=GenerationConfig(**values), max_new_tokens=3)
    assert shorter.tolist() == [expected[0][: inputs["input_ids"].shape[1] + 3]]
    assert GenerationConfig(**values).to_dict() == values


def test_streamers(bloom: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    from transformers import TextStreamer as TheirStreamer

    from belle_edge.hf import TextStreamer

    inputs = bloom.tokenizer(PROMPTS["bloom"][0], return_tensors="pt")
    n_prompt = inputs["input_ids"].shape[1]
    for kind in (TheirStreamer, TextStreamer):
        streamer = kind(bloom.tokenizer, skip_prompt=True, skip_special_tokens=True)
        output = bloom.model.generate(**inputs, max_new_tokens=40, streamer=streamer)
        answer = bloom.tokenizer.decode(output[0][n_prompt:], skip_special_tokens=True)
        assert capsys.readouterr().out == answer + "\n"
    with pytest.raises(ValueError, match=r"one row|batch size 1"):
        bloom.model.generate(
            bloom.tokenizer(["a", "b"], return_tensors="pt"), streamer=TextStreamer(bloom.tokenizer)
        )


def test_sampling_is_reproducible(bloom: Pair) -> None:
    torch = pytest.importorskip("torch")
    from transformers import set_seed as their_set_seed

    from belle_edge.hf import set_seed

    inputs = bloom.tokenizer(PROMPTS["bloom"][1], return_tensors="pt")

    def sample(**settings: Any) -> Any:
        return bloom.model.generate(
            **inputs, do_sample=True, temperature=5.0, max_new_tokens=20, **settings
        ).tolist()

    assert sample(seed=1) == sample(seed=1)
    assert len({str(sample(seed=seed)) for seed in range(5)}) > 1
    assert sample(generator=torch.Generator().manual_seed(5)) == sample(
        generator=torch.Generator().manual_seed(5)
    )
    assert sample(generator=np.random.default_rng(5)) == sample(generator=np.random.default_rng(5))
    drawn = []
    for seeding in (set_seed, their_set_seed, torch.manual_seed):
        seeding(42)
        drawn.append([sample(), sample()])
    assert drawn[0] == drawn[1] == drawn[2]
    assert drawn[0][0] != drawn[0][1]
    assert sample(seed=3, top_k=1) == bloom.model.generate(**inputs, max_new_tokens=20).tolist()


def test_several_answers(bloom: Pair) -> None:
    settings: dict[str, Any] = {"do_sample": True, "temperature": 5.0, "num_return_sequences": 3}
    settings |= {"max_new_tokens": 10, "seed": 7}
    inputs = bloom.tokenizer(PROMPTS["bloom"][:2], padding=True, return_tensors="pt")
    rows = bloom.model.generate(**inputs, **settings)
    assert rows.shape[0] == 6
    n_width = inputs["input_ids"].shape[1]
    assert rows[:, :n_width].tolist() == [row for row in inputs["input_ids"].tolist() for _ in range(3)]
    assert len({str(row) for row in rows[:3].tolist()}) > 1
    first = bloom.tokenizer(PROMPTS["bloom"][0], return_tensors="pt")
    alone = bloom.model.generate(**first, **settings)
    n_prompt = first["input_ids"].shape[1]
    for row, other in zip(rows[:3].tolist(), alone[:, n_prompt:].tolist(), strict=True):
        n_answer = min(len(row) - n_width, len(other))
        assert row[n_width : n_width + n_answer] == other[:n_answer]


def test_stop_strings_and_callables(bloom: Pair) -> None:
    torch = pytest.importorskip("torch")
    inputs = bloom.tokenizer(PROMPTS["bloom"][0], return_tensors="pt")
    n_prompt = inputs["input_ids"].shape[1]
    whole = bloom.model.generate(**inputs, max_new_tokens=60)
    text = bloom.tokenizer.decode(whole[0][n_prompt:], skip_special_tokens=True)
    stop = text[8:11]
    stopped = bloom.model.generate(**inputs, max_new_tokens=60, stop_strings=[stop])
    answer = bloom.tokenizer.decode(stopped[0][n_prompt:])
    assert stop in answer
    assert stop not in bloom.tokenizer.decode(stopped[0][n_prompt:-1])
    seen: list[tuple[int, ...]] = []

    def criterion(ids: Any, _scores: Any) -> Any:
        seen.append(tuple(ids.shape))
        return torch.tensor([ids.shape[1] >= n_prompt + 4])

    def processor(_ids: Any, scores: Any) -> Any:
        scores[:, 5:] = float("-inf")
        return scores

    assert bloom.model.generate(**inputs, stopping_criteria=[criterion]).shape == (1, n_prompt + 4)
    assert seen == [(1, n_prompt + n) for n in range(1, 5)]
    forced = bloom.model.generate(**inputs, logits_processor=[processor], max_new_tokens=3)
    assert max(forced[0][n_prompt:].tolist()) < 5


def test_forms_of_input(bloom: Pair) -> None:
    text = PROMPTS["bloom"][2]
    inputs = bloom.tokenizer(text, return_tensors="pt")
    expected = bloom.model.generate(**inputs).tolist()
    assert bloom.model.generate(inputs).tolist() == expected
    assert bloom.model.generate(inputs=inputs["input_ids"]).tolist() == expected
    assert bloom.model.generate(input_ids=inputs["input_ids"][0]).tolist() == expected
    arrays = bloom.model.generate(**bloom.tokenizer(text, return_tensors="np"))
    assert isinstance(arrays, np.ndarray)
    assert arrays.tolist() == expected
    assert bloom.model.generate(max_new_tokens=2)[0][0] == 1  # from BOS
    wrapped = bloom.model.generate(**inputs, return_dict_in_generate=True, output_scores=True)
    assert wrapped.sequences.tolist() == expected


def test_the_context_ends_a_generation(llama: Pair) -> None:
    inputs = llama.tokenizer("Once upon a time", return_tensors="pt")
    with pytest.warns(UserWarning, match="context of 512 tokens"):
        output = llama.model.generate(**inputs, max_length=900, eos_token_id=[])
    assert output.shape == (1, 513)  # the last token need not be fed
    with pytest.raises(ValueError, match="the context holds 512"):
        llama.model.generate([[5] * 513], max_length=600)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_length": 5}, "max_length, which counts them, is 5"),
        ({"max_new_tokens": 0}, "max_length"),
        ({"num_beams": 4}, "num_beams=4 is not implemented"),
        ({"max_new_token": 5}, "unknown argument 'max_new_token'"),
        ({"num_return_sequences": 2}, "do_sample=True"),
        ({"do_sample": True, "temperature": 0.0}, "temperature"),
        ({"do_sample": True, "top_p": 1.5}, "top_p"),
        ({"repetition_penalty": -1.0}, "repetition_penalty"),
        ({"attention_mask": [[1, 0, 1, 1, 1, 1, 1, 1, 1, 1]]}, "shape|gap"),
        ({"attention_mask": [[1]]}, "shape"),
    ],
    ids=str,
)
def test_refused(bloom: Pair, settings: dict[str, Any], message: str) -> None:
    ids = [[335, 3083, 424, 377, 421, 334, 3083, 424, 377, 421]]
    with pytest.raises(ValueError, match=message):
        bloom.model.generate(ids, **settings)


@pytest.mark.parametrize("ids", [[[]], [[3, 3]], [[0.5]], [[1, 2], [1]], [[9000]], [[-1]]], ids=str)
def test_unusable_ids(bloom: Pair, ids: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        bloom.model.generate(ids, max_length=20)


def test_module_methods_change_nothing(bloom: Pair) -> None:
    model = bloom.model
    assert model.eval() is model.to("cuda") is model.half() is model.float() is model.cuda() is model
    assert str(model.device) == "cpu"
    assert model.config.vocab_size == bloom.hf_model.config.vocab_size
    assert model.config.hidden_size == bloom.hf_model.config.hidden_size
    assert model.config.num_hidden_layers == 4
    assert model.generation_config.eos_ids == [2]
    with pytest.raises(AttributeError):
        _ = model.config.nothing
    with pytest.raises(ValueError, match="past_key_values"):
        model([[5]], past_key_values=[1])
    for name in ("output_hidden_states", "output_attentions"):
        assert model([[5]], **{name: False}).logits.shape[:2] == (1, 1)
        with pytest.raises(ValueError, match=f"'{name}' is not implemented"):
            model([[5]], **{name: True})

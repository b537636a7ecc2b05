"""Answers by likelihood: as a pass for each choice says it, whatever is shared, on every tier."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from belle_edge import Belle, Choice
from belle_edge.errors import ContextLengthError
from belle_edge.generation.prompt_ids import prompt_ids
from belle_edge.generation.prompt_scores import prompt_logprobs
from belle_edge.text.chat_format import encode_continuation

from ..model.conftest import tier_params

QUESTION = "“高”的反义词是什么？"
NESTED = ["“高”的反义词是“低”", "“高”的反义词是“", "低", "“高”的反义词是“低”。再见", "12"]


def naive(model: Belle, prompt: str, texts: Sequence[str], *, raw: bool = False) -> dict[str, float]:
    """Probabilities of the choices from a pass for each: of its tokens, less what longer choices take."""
    ids = prompt_ids(model, prompt, raw=raw)
    tokens = {text: encode_continuation(model.tokenizer, text) for text in texts}
    begins = {}
    for text in texts:
        scores = prompt_logprobs(model, [*ids, *tokens[text]])[len(ids) - 1 :]
        begins[text] = math.exp(sum(score.logprob for score in scores))

    def next_longer(text: str) -> list[str]:
        longer = [one for one in texts if one != text and tokens[one][: len(tokens[text])] == tokens[text]]
        return [
            one
            for one in longer
            if not any(
                other != one and tokens[one][: len(tokens[other])] == tokens[other] for other in longer
            )
        ]

    return {text: begins[text] - sum(begins[longer] for longer in next_longer(text)) for text in texts}


def assert_as_naive(found: Choice, expected: dict[str, float]) -> None:
    whole = sum(expected.values())
    assert found.text == max(expected, key=expected.__getitem__)
    assert list(found.probabilities) == list(expected)
    for text, probability in expected.items():
        assert found.probabilities[text] == pytest.approx(probability / whole, rel=1e-3, abs=1e-9)
        assert math.exp(found.choice_logprobs[text]) == pytest.approx(probability, rel=1e-3, abs=1e-9)
    assert math.fsum(found.probabilities.values()) == pytest.approx(1)


@pytest.mark.parametrize("raw", [False, True])
def test_as_a_pass_for_each_choice_says(tiny_zh: Belle, raw: bool) -> None:
    for texts in (NESTED, NESTED[::-1], ["是"], ["高", "低", "低头"]):
        found = tiny_zh.choose(QUESTION, texts, raw=raw)
        assert_as_naive(found, naive(tiny_zh, QUESTION, texts, raw=raw))
        assert list(found.token_ids) == encode_continuation(tiny_zh.tokenizer, found.text)
        assert (found.finish_reason, found.completion_tokens) == ("stop", len(found.token_ids))
        assert found.prompt_tokens == len(prompt_ids(tiny_zh, QUESTION, raw=raw))


def test_texts_of_sentencepiece(stories: Belle) -> None:
    texts = ["a time", "a", "the", "Once upon a time"]
    assert_as_naive(
        stories.choose("Once upon", texts, raw=True), naive(stories, "Once upon", texts, raw=True)
    )


def test_what_goes_on_counts_for_the_longest_choice(tiny_zh: Belle) -> None:
    """The model writes “高”的反义词是“低”。 with certainty: its beginning has what no longer choice takes."""
    short, long = "“高”的反义词是", "“高”的反义词是“低”"
    assert tiny_zh.generate(QUESTION, temperature=0).text.startswith(long)
    assert tiny_zh.choose(QUESTION, [short, "低"]).probability > 0.99
    found = tiny_zh.choose(QUESTION, [short, long])
    assert found.text == long
    assert found.probability > 0.99
    assert found.probability == found.to_dict()["probability"]
    assert json.loads(json.dumps(found.to_dict()))["choice_logprobs"][long] == pytest.approx(
        found.choice_logprobs[long]
    )


def test_messages_and_ids_are_prompts_too(tiny_zh: Belle) -> None:
    expected = tiny_zh.choose(QUESTION, ["高", "低", "低"])
    assert list(expected.probabilities) == ["高", "低"]
    asked = tiny_zh.choose([{"role": "user", "content": QUESTION}], ("高", "低"))
    ids = tiny_zh.choose(prompt_ids(tiny_zh, QUESTION, raw=False), ["高", "低"])
    assert asked.choice_logprobs == expected.choice_logprobs == ids.choice_logprobs


@pytest.mark.parametrize(
    ("prompt", "choices", "problem"),
    [
        ("a", [], "at least one text"),
        ("a", "是否", "a list of texts"),
        ("a", ["是", ""], "not empty"),
        ("a", ["是", 3], "not empty, got 3"),
        ([], ["是"], "nothing to start from"),
        ([1] * 300, ["是"], "the context holds 256"),
        ([1] * 256, ["“高”的反义词是“低”"], "the context holds 256"),
    ],
)
def test_what_is_refused(tiny_zh: Belle, prompt: Any, choices: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        tiny_zh.choose(prompt, choices)
    assert isinstance(caught.value, ContextLengthError) == ("context" in problem)
    with pytest.raises(ValueError, match="unknown argument 'temperature'"):
        tiny_zh.choose("a", ["是"], temperature=0)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="raw"):
        tiny_zh.choose([{"role": "user", "content": "a"}], ["是"], raw=True)


def items_of(model: Belle) -> list[Any]:
    """Prompts of all lengths that begin alike, and others; choices of their own; some that are written."""
    texts = [f"这句评论是正面的还是负面的？{'很好吃。' * (n % 7)}{n}" for n in range(9)]
    own = ["正面", "负面", "正面的", "正"]
    return [
        *texts,
        {"prompt": texts[3], "choice": own, "id": 7},
        {"messages": [{"role": "user", "content": QUESTION}], "choice": NESTED},
        {"prompt": QUESTION, "schema": {"type": "integer"}, "temperature": 0, "max_tokens": 3},
        {"prompt": "评论：差。结论：", "raw": True},
        model.tokenize(QUESTION),
    ]


@pytest.fixture(scope="module", params=tier_params())
def on_tier(request: pytest.FixtureRequest, converted: Callable[[str, str], Path]) -> Iterator[Belle]:
    with Belle.load(converted("bloom", "q4_0"), isa=request.param, threads=2) as model:
        yield model


def test_neither_batch_nor_order_matters(on_tier: Belle) -> None:
    pytest.importorskip("llguidance")
    items = items_of(on_tier)
    alone: list[Any] = []
    for item in items:
        fields = item if isinstance(item, dict) else {"prompt": item}
        prompt = fields.get("messages", fields.get("prompt"))
        if "schema" in fields:
            alone.append(on_tier.generate(prompt, schema=fields["schema"], temperature=0, max_tokens=3))
        else:
            texts = fields.get("choice", ["正面", "负面"])
            alone.append(on_tier.choose(prompt, texts, raw=fields.get("raw", False)))
    chance = random.Random(3)
    for max_batch in (1, 3, 16):
        order = list(range(len(items)))
        chance.shuffle(order)
        results = list(
            on_tier.batch(
                (items[place] for place in order), choice=["正面", "负面"], scored=True, max_batch=max_batch
            )
        )
        assert len(results) == len(items)
        for result in results:
            expected = alone[order[result.index]]
            assert type(result.generation) is type(expected)
            assert (result.text, result.generation.token_ids) == (expected.text, expected.token_ids)
            if isinstance(expected, Choice):
                assert result.generation.choice_logprobs == expected.choice_logprobs
                assert result.generation.probabilities == expected.probabilities


def test_each_token_is_computed_once(tiny_zh: Belle, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for a group with another prompt, after which the beginning is computed again."""
    beginning = "请判断下面这句评论是正面的还是负面的，只回答一个词，不要解释。评论：这家餐厅的"
    prompts = [f"{beginning}{n}" for n in range(40)]
    n_alike = len(prompt_ids(tiny_zh, beginning, raw=False)) - 4  # less the template's end and what may merge
    n_fed = [0]
    for name in ("forward", "forward_scores"):
        compute = getattr(tiny_zh.backend, name)

        def counted(batch: Any, compute: Any = compute, **options: Any) -> Any:
            n_fed[0] += sum(len(entry[1]) for entry in batch)
            return compute(batch, **options)

        monkeypatch.setattr(tiny_zh.backend, name, counted)
    for more, n_times in (([], 1), (["你好"], 2)):
        n_fed[0] = 0
        asked = [*prompts[:20], *more, *prompts[20:]]
        assert len(list(tiny_zh.batch(asked, choice=["正面", "负面"], scored=True, max_batch=8))) == len(
            asked
        )
        ids = [prompt_ids(tiny_zh, prompt, raw=False) for prompt in asked]
        assert n_fed[0] <= n_times * n_alike + sum(max(0, len(one) - n_alike) for one in ids) + 8 * len(more)


def test_errors_are_results(tiny_zh: Belle) -> None:
    items: list[Any] = [
        QUESTION,
        "问题" * 1000,
        {"prompt": "a", "choice": []},
        {"id": 1},
        {"prompt": QUESTION, "choice": ["a", "b"], "temperature": -1},
    ]
    seen: list[Any] = []
    results = list(
        tiny_zh.batch(
            items, choice=["高", "低"], scored=True, errors="return", ordered=True, on_progress=seen.append
        )
    )
    assert [result.error is None for result in results] == [True, False, False, False, False]
    assert results[0].text in ("高", "低")
    assert ["context" in str(results[1].error), "at least one" in str(results[2].error)] == [True, True]
    assert (seen[-1].n_done, seen[-1].n_failed, seen[-1].completion_tokens) == (5, 4, 1)
    with pytest.raises(ValueError, match="regex and choice"):
        tiny_zh.batch([], choice=["a"], regex="a", scored=True)
    with pytest.raises(ValueError, match="item 1"):
        list(tiny_zh.batch(items, choice=["高", "低"], scored=True))


def test_a_really_trained_model(test_data: Path) -> None:
    (path,) = (test_data / "models/smollm2-135m-instruct").glob("*.gguf")
    texts = ["positive", "negative", "positive and negative"]
    reviews = [
        "I love this phone, the screen is gorgeous.",
        "It broke after one day. Never again.",
        "What a waste of money.",
        "Best purchase of the year!",
    ]
    prompts = [
        f"Is this review positive or negative? Answer with one word. Review: {text}" for text in reviews
    ]
    with Belle.load(path, threads=2) as model:
        results = list(model.batch(prompts, choice=texts, scored=True, ordered=True))
        for prompt, result in zip(prompts, results, strict=True):
            assert isinstance(result.generation, Choice)
            assert_as_naive(result.generation, naive(model, prompt, texts))


@pytest.mark.slow
def test_llama_cpp_chooses_alike(converted: Callable[[str, str], Path], llama_cpp: object) -> None:
    path = converted("bloom", "f32")
    asked: Any = [*(f"评论：很好{n}" for n in range(5)), {"prompt": QUESTION, "choice": NESTED}]
    with Belle.load(path, threads=1) as ours, Belle.load(path, backend="llama.cpp", threads=1) as theirs:
        found = [
            [
                result.generation
                for result in model.batch(asked, choice=["是", "否"], scored=True, ordered=True)
            ]
            for model in (ours, theirs)
        ]
    for one, other in zip(*found, strict=True):
        assert isinstance(one, Choice)
        assert isinstance(other, Choice)
        assert one.text == other.text
        assert list(one.choice_logprobs.values()) == pytest.approx(
            list(other.choice_logprobs.values()), abs=0.05
        )

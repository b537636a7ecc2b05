"""`Belle.batch`: results as they finish, from generators; the same as alone, whatever the batch and the order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from belle_edge import Belle
from belle_edge.generation.batch_results import BatchProgress

QUESTIONS = ["法国的首都是哪里？", "“高”的反义词是什么？", "12加30等于多少？", "你是谁？"]


@pytest.fixture(scope="module")
def model(converted: Callable[[str, str], Path]) -> Iterator[Belle]:
    with Belle.load(converted("bloom", "q4_0"), threads=1) as loaded:
        yield loaded


def test_the_answers_are_those_of_each_prompt_alone(model: Belle) -> None:
    items: list[Any] = [
        *QUESTIONS,
        model.tokenize(QUESTIONS[0]),
        {"prompt": QUESTIONS[1], "max_tokens": 2, "id": "kept"},
        {"messages": [{"role": "user", "content": QUESTIONS[2]}], "seed": 40},
        {"prompt": QUESTIONS[3], "raw": True, "stop": "。", "temperature": 1.5},
    ]
    alone = [
        *(model.generate(text, seed=5 + index, max_tokens=9) for index, text in enumerate(QUESTIONS)),
        model.generate(items[4], seed=9, max_tokens=9),
        model.generate(QUESTIONS[1], seed=10, max_tokens=2),
        model.chat(items[6]["messages"], seed=40, max_tokens=9),
        model.generate(QUESTIONS[3], raw=True, stop="。", temperature=1.5, seed=12, max_tokens=9),
    ]
    for max_batch in (1, 3, 16):
        for ordered in (True, False):
            results = list(
                model.batch(iter(items), seed=5, max_tokens=9, ordered=ordered, max_batch=max_batch)
            )
            assert sorted(result.index for result in results) == list(range(len(items)))
            assert not ordered or [result.index for result in results] == list(range(len(items)))
            for result in results:
                assert result.item is items[result.index]
                assert result.generation is not None
                assert result.generation.token_ids == alone[result.index].token_ids
                assert result.text == alone[result.index].text


def test_a_generator_is_read_as_there_is_room(model: Belle) -> None:
    n_read = 0

    def endless() -> Iterator[str]:
        nonlocal n_read
        for n_read in count(1):
            yield QUESTIONS[n_read % 4]

    results = model.batch(endless(), max_tokens=2, max_batch=4)
    assert n_read == 0
    given = [next(results) for _ in range(40)]
    assert n_read <= 64 + 32
    assert len({result.index for result in given}) == 40


def test_errors_and_progress(model: Belle) -> None:
    items: list[Any] = [
        "问题" * 10_000,
        QUESTIONS[0],
        {"id": 1},
        {"prompt": QUESTIONS[1], "temperature": -1},
        {"prompt": "a", "messages": []},
        3,
        {"prompt": "a", "raw": "yes"},
    ]
    seen: list[BatchProgress] = []
    results = list(
        model.batch(
            items, errors="return", ordered=True, on_progress=seen.append, max_tokens=3, temperature=0
        )
    )
    assert [result.error is None for result in results] == [False, True, *[False] * 5]
    assert "context" in str(results[0].error)
    assert results[1].text == model.generate(QUESTIONS[0], max_tokens=3, temperature=0).text
    with pytest.raises(ValueError, match="temperature"):
        _ = results[3].text
    last = seen[-1]
    assert (len(seen), last.n_done, last.n_failed, last.completion_tokens) == (7, 7, 6, 3)
    with pytest.raises(ValueError, match="item 2: expected a text under"):
        list(model.batch([QUESTIONS[0], QUESTIONS[1], {}], max_tokens=3))


@pytest.mark.parametrize(
    ("items", "options", "problem"),
    [
        ("text", {}, "an iterable"),
        ({"prompt": "a"}, {}, "an iterable"),
        ([], {"errors": "ignore"}, "'raise' or 'return'"),
        ([], {"max_tokens": 0}, "max_tokens"),
        ([], {"top_q": 1}, "top_q"),
    ],
)
def test_what_concerns_the_whole_call_is_raised_at_once(
    model: Belle, items: Any, options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        model.batch(items, **options)

"""What an actor does, without Ray: results as they finish, whatever comes when, until the end is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from belle_edge import Belle
from belle_edge.distributed.item_worker import Entry, ItemWorker

QUESTIONS = ("法国的首都是哪里？", "“高”的反义词是什么？", "12加30等于多少？", "你是谁？")


def entries(first: int, end: int) -> list[Entry]:
    return [
        (
            100 + index,
            {"prompt": "北京" * 3000 if index == 6 else QUESTIONS[index % 4], "seed": index, "max_tokens": 9},
        )
        for index in range(first, end)
    ]


@pytest.fixture
def worker(converted: Callable[[str, str], Path]) -> ItemWorker:
    made = ItemWorker()
    machine, found = made.load(str(converted("bloom", "q4_0")), {"threads": 1, "isa": "scalar"}, hashed=True)
    assert machine
    assert (found["isa"], len(found["model"])) == ("scalar", 64)
    return made


def test_each_entry_has_a_result(worker: ItemWorker, converted: Callable[[str, str], Path]) -> None:
    worker.begin({"temperature": 2.0}, max_batch=2, raw=False, scored=False)
    results: dict[int, Any] = {}
    calls = [(entries(0, 3), False), (entries(3, 8), True), (entries(8, 12), False), (entries(12, 13), True)]
    n_given = 0
    for given, ended in calls:
        n_given += len(given)
        results.update(worker.exchange(given, ended=ended))
        while ended and len(results) < n_given:
            results.update(worker.exchange([], ended=True))
    assert sorted(results) == list(range(100, 113))
    assert isinstance(results.pop(106), ValueError)
    with Belle.load(converted("bloom", "q4_0"), threads=1, isa="scalar") as model:
        for key, result in results.items():
            alone = model.generate(QUESTIONS[key % 4], temperature=2.0, seed=key - 100, max_tokens=9)
            assert result.token_ids == alone.token_ids


def test_a_choice_by_likelihood(worker: ItemWorker) -> None:
    worker.begin({"choice": ["巴黎", "北京"]}, max_batch=2, raw=False, scored=True)
    ((key, result),) = worker.exchange([(3, {"prompt": QUESTIONS[0]})], ended=True)
    assert (key, result.text in ("巴黎", "北京")) == (3, True)
    assert sum(result.probabilities.values()) == pytest.approx(1)


def test_what_answering_raises_ends_the_exchange(worker: ItemWorker) -> None:
    worker.begin({"temprature": 1}, max_batch=2, raw=False, scored=False)
    with pytest.raises(ValueError, match="did you mean 'temperature'"):
        worker.exchange(entries(0, 1), ended=True)

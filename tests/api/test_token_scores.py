"""Scores of continuations: what the logits say, whatever is shared and batched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from belle_edge import Belle
from belle_edge.backends.row_scores import scores_from_logits
from belle_edge.generation.prefix_tree import Input, prefix_tree
from belle_edge.generation.token_scores import score, scores_of

PREFIX = "Human: 你好\n\nAssistant:"


@pytest.fixture(scope="module", params=["bloom", "llama"])
def belle(request: pytest.FixtureRequest, converted: Callable[[str, str], Path]) -> Iterator[Belle]:
    with Belle.load(converted(request.param, "f32"), threads=1) as model:
        yield model


def expected(model: Belle, prefix: list[int], continuation: list[int]) -> tuple[np.ndarray, bool]:
    """From one row of logits per token."""
    rows = model.logits([*prefix, *continuation])[len(prefix) - 1 : -1].astype(np.float64)
    totals = np.log(np.exp(rows - rows.max(1, keepdims=True)).sum(1)) + rows.max(1)
    chosen = rows[np.arange(len(rows)), continuation]
    return chosen - totals, bool((rows.argmax(1) == continuation).all())


def requests_of(model: Belle) -> list[tuple[list[int], list[int]]]:
    """Shared beginnings of all kinds: choices, questions behind examples, a request within another, twice the same."""
    shots = model.tokenize(PREFIX * 3)
    questions = [shots + model.tokenize(text, add_bos=False) for text in ("一加一", "北京在哪里", "Hello")]
    choices = [model.tokenize(text, add_bos=False) for text in ("好", "你好！我是", "A", "Once upon a time")]
    requests = [(question, choice) for question in questions for choice in choices]
    whole = shots + choices[3]
    return [
        *requests,
        (shots[:1], shots[1:]),
        (whole[:-2], whole[-2:]),
        requests[3],
        (shots[:7], choices[0][:1]),
    ]


def test_scores_are_those_of_the_logits(belle: Belle) -> None:
    requests = requests_of(belle)
    found = dict(scores_of(belle, requests))
    assert sorted(found) == list(range(len(requests)))
    for index, (prefix, continuation) in enumerate(requests):
        logprobs, greedy = expected(belle, prefix, continuation)
        assert np.allclose(found[index].logprobs, logprobs, atol=1e-5)
        assert found[index].is_greedy == greedy


def test_greedy_is_what_the_model_writes(belle: Belle) -> None:
    prefix = belle.tokenize(PREFIX)
    written = list(belle.generate(prefix, temperature=0, max_tokens=6).token_ids)
    other = [*written[:-1], (written[-1] + 1) % len(belle.tokenizer)]
    (_, is_written), (_, is_other) = score(belle, prefix, [written, other])
    assert is_written
    assert not is_other


def test_a_score_has_the_same_bits_alone_and_in_company(converted: Callable[[str, str], Path]) -> None:
    with Belle.load(converted("bloom", "q4_0"), threads=2) as model:
        requests = requests_of(model)
        together = dict(scores_of(model, requests))
        for index, request in enumerate(requests):
            ((_, alone),) = scores_of(model, [request])
            assert alone.logprobs.tobytes() == together[index].logprobs.tobytes()


def test_logits_by_python_and_by_the_engine_agree(belle: Belle) -> None:
    ids = belle.tokenize(PREFIX * 2)
    rows = [0, 3, 3, 9, len(ids) - 1]
    targets = [5, 6, 7, 8, 9]

    def entries() -> list[tuple[object, list[int], list[int], list[int]]]:
        return [
            (belle.backend.new_sequence(), ids, rows, targets),
            (belle.backend.new_sequence(), ids[:4], [], []),
            (belle.backend.new_sequence(), ids[:5], [4], [3]),
        ]

    ours = belle.backend.forward_scores(entries())  # type: ignore[arg-type]
    plain = scores_from_logits(belle.backend, entries())  # type: ignore[arg-type]
    for one, other in zip(ours, plain, strict=True):
        assert np.allclose(one.logprobs, other.logprobs, atol=1e-5)
        assert one.greedy.tolist() == other.greedy.tolist()


def test_each_token_is_computed_once(belle: Belle, monkeypatch: pytest.MonkeyPatch) -> None:
    shots = belle.tokenize(PREFIX * 3)
    requests = [([*shots, first], [last]) for first in range(10, 20) for last in range(10, 14)]
    n_fed = []
    compute = belle.backend.forward_scores

    def counted(batch: list[tuple[object, list[int], object, object]]) -> object:
        n_fed.append(sum(len(ids) for _, ids, _, _ in batch))
        return compute(batch)  # type: ignore[arg-type]

    monkeypatch.setattr(belle.backend, "forward_scores", counted)
    assert len(dict(scores_of(belle, requests))) == 40
    assert sum(n_fed) == len(shots) + 10
    assert len(n_fed) == 2


def test_the_tree_holds_each_input_once() -> None:
    texts = ["abcd", "abce", "abc", "x", "abcdz", "x"]
    inputs = [Input([ord(letter) for letter in text], 1, [0] * (len(text) - 1)) for text in texts]
    found: dict[int, int] = dict.fromkeys(range(len(texts)), 0)
    n_tokens = 0
    stack = prefix_tree(inputs)
    while stack:
        stretch = stack.pop()
        stack += stretch.below
        n_tokens += len(stretch.ids)
        assert stretch.rows == sorted(stretch.rows)
        for owner in stretch.owners:
            found[owner] += 1
    assert n_tokens == len("abc") + len("d") + len("z") + len("e") + len("x")
    assert found == {index: len(text) - 1 for index, text in enumerate(texts)}


def test_a_deep_chain_of_beginnings_needs_no_deep_stack(belle: Belle) -> None:
    ids = belle.tokenize(PREFIX * 10)[:200]
    requests = [(ids[:n], [ids[n]]) for n in range(1, len(ids))]
    found = dict(scores_of(belle, requests))
    whole, _ = expected(belle, ids[:1], ids[1:])
    assert np.allclose([found[n].total for n in range(len(requests))], whole, atol=1e-4)


def test_an_empty_continuation_is_certain(belle: Belle) -> None:
    assert score(belle, [1, 2], [[], [3]])[0] == (0.0, True)


def test_what_cannot_be_scored_is_refused(belle: Belle) -> None:
    with pytest.raises(ValueError, match="request 0: expected a prefix of one token or more, got none"):
        score(belle, [], [[1]])
    with pytest.raises(ValueError, match=f"the context has {belle.context}: cut its beginning"):
        score(belle, [1] * belle.context, [[1, 1]])
    with pytest.raises(ValueError, match="outside the vocabulary"):
        score(belle, [1], [[10**6]])


@pytest.mark.slow
def test_llama_cpp_gives_the_same_scores(converted: Callable[[str, str], Path], llama_cpp: object) -> None:
    """Requests that share beginnings, on both engines: forks, passes and pieces of logits are the other's."""
    path = converted("bloom", "f32")
    with Belle.load(path, threads=1) as ours, Belle.load(path, backend="llama.cpp", threads=1) as theirs:
        requests = requests_of(ours)
        first, second = dict(scores_of(ours, requests)), dict(scores_of(theirs, requests))
        for index in range(len(requests)):
            assert np.allclose(first[index].logprobs, second[index].logprobs, atol=1e-2)  # its cache is f16
            assert first[index].is_greedy == second[index].is_greedy

"""Scores of given tokens: what the logits say, however many rows, passes and pieces of a large vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from belle_edge import _core
from belle_edge.errors import ModelFormatError

from .gguf_models import RANDOM_MODELS, normal

LARGE = 40_000  # of whose logits 64 MiB hold 419 rows


def expected(rows: np.ndarray, places: list[int], targets: list[int]) -> tuple[np.ndarray, list[bool]]:
    """Log-probability of each target in its row [n_vocab], and whether it is the best."""
    chosen = rows[places].astype(np.float64)
    highest = chosen.max(1)
    totals = highest + np.log(np.exp(chosen - highest[:, None]).sum(1))
    found = chosen[np.arange(len(places)), targets] - totals
    return found, (chosen.argmax(1) == targets).tolist()


@pytest.mark.parametrize("architecture", ["bloom", "llama"])
def test_rows_of_a_large_vocabulary(tmp_path: Path, architecture: str) -> None:
    random = np.random.default_rng(5)
    model = RANDOM_MODELS[architecture]()
    hidden = model.metadata["embedding_length"]
    model.tensors["output.weight"] = normal(random, LARGE, hidden)
    engine = _core.Model(model.write(tmp_path / "model.gguf"), threads=2)
    ids = random.integers(0, 300, 600).tolist()  # two passes
    first, second, third = (engine.new_sequence() for _ in range(3))
    (rows,) = engine.forward([(engine.new_sequence(), ids)], logits="all")
    places = sorted([*range(600), *range(30, 90), 7, 7])
    targets = random.integers(0, LARGE, len(places)).tolist()
    targets[::3] = rows[places[::3]].argmax(1).tolist()
    batch = [(first, ids[:9], [8, 8], [3, 4]), (second, ids, places, targets), (third, ids[:20], [], [])]
    found = engine.forward_scores(batch)
    for (_, _, where, tokens), (logprobs, greedy) in zip(batch, found, strict=True):
        values, best = expected(rows, where, tokens)
        assert np.allclose(logprobs, values, atol=2e-6)
        assert greedy.tolist() == best
    assert (first.length, second.length, third.length) == (9, 600, 20)
    assert engine.forward_scores([]) == []


@pytest.fixture
def engine(tmp_path: Path) -> _core.Model:
    return _core.Model(RANDOM_MODELS["llama"]().write(tmp_path / "model.gguf"), threads=1)


def test_of_equal_tokens_the_first_is_the_best(tmp_path: Path) -> None:
    model = RANDOM_MODELS["llama"]()
    model.tensors["output.weight"][:] = 0
    engine = _core.Model(model.write(tmp_path / "equal.gguf"), threads=1)
    ((logprobs, greedy),) = engine.forward_scores([(engine.new_sequence(), [1], [0, 0], [0, 1])])
    assert greedy.tolist() == [True, False]
    assert np.allclose(logprobs, -np.log(301))


@pytest.mark.parametrize(
    ("places", "targets", "says"),
    [
        ([1, 0], [1, 1], "expected ascending places from 0 to 2"),
        ([3], [1], "expected ascending places from 0 to 2"),
        ([0], [301], "token id 301 is outside the vocabulary of 301"),
        ([0, 1], [1], "expected as many places as tokens, got 2 and 1"),
        ([0], [-1], "token id -1 is outside the vocabulary"),
    ],
)
def test_what_is_asked_has_to_exist(
    engine: _core.Model, places: list[int], targets: list[int], says: str
) -> None:
    sequence = engine.new_sequence()
    with pytest.raises(ValueError, match=says):
        engine.forward_scores([(sequence, [1, 2, 3], places, targets)])
    assert sequence.length == 0


def test_a_model_without_numbers_is_an_error(tmp_path: Path) -> None:
    model = RANDOM_MODELS["bloom"]()
    model.tensors["output_norm.weight"][:] = 3e38  # finite, but their products are not
    engine = _core.Model(model.write(tmp_path / "nan.gguf"), threads=1)
    sequence = engine.new_sequence()
    with pytest.raises(ModelFormatError, match="no finite logit"):
        engine.forward_scores([(sequence, [1, 2], [1], [5])])
    assert sequence.length == 0


def test_bits_do_not_depend_on_the_batch(converted: Callable[[str, str], Path]) -> None:
    engine = _core.Model(converted("bloom", "q4_0"), threads=2)
    random = np.random.default_rng(1)
    batch = [
        (random.integers(0, 500, n).tolist(), sorted(random.integers(0, n, n).tolist())) for n in (3, 40, 90)
    ]
    entries = [(engine.new_sequence(), ids, places, [7] * len(places)) for ids, places in batch]
    together = engine.forward_scores(entries)
    for (ids, places), (logprobs, _) in zip(batch, together, strict=True):
        ((alone, _),) = engine.forward_scores([(engine.new_sequence(), ids, places, [7] * len(places))])
        assert alone.tobytes() == logprobs.tobytes()

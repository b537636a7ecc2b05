"""A pass that rests between layers: whatever runs meanwhile, it ends as if it had never rested."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from belle_edge import _core

from .conftest import ModelFile

FILES = [("llama", "f32"), ("llama", "q4_0"), ("bloom", "q4_0")]
Ids = NDArray[np.int32]


@pytest.fixture(scope="module", params=FILES, ids="-".join)
def path(request: pytest.FixtureRequest, model_file: ModelFile) -> Path:
    architecture, type = request.param
    return model_file(architecture, type)


@pytest.fixture(scope="module")
def model(tier: str, path: Path) -> _core.Model:
    return _core.Model(str(path), isa=tier, threads=1)


def always() -> bool:
    return True


def in_rests(
    model: _core.Model, batch: list[Any], between: Callable[[], object], **settings: Any
) -> tuple[list[Any], int]:
    """The logits of a pass that rests after each layer, with other work in every rest; and how often it rested."""
    resting, n_rests = _core.RestingBatch(), 0
    while not (rows := model.forward(batch, stop=always, resting=resting, **settings)):
        n_rests += 1
        assert resting.n_layers == n_rests
        between()
    assert resting.n_layers == 0
    return rows, n_rests


@pytest.mark.parametrize("decode", [False, True], ids=["prompt", "decode"])
@pytest.mark.parametrize("logits", ["last", "all"])
def test_other_passes_run_meanwhile(model: _core.Model, ids: Ids, decode: bool, logits: str) -> None:
    """Of other lengths and phases, on sequences of their own, and on one that shares pages."""
    sequences = [model.new_sequence() for _ in range(2)]
    for sequence in sequences:
        model.forward([(sequence, ids[:5])], logits="none")
    whole = [sequence.fork() for sequence in sequences]
    pieces = (ids[5:38], ids[5:12])
    expected = model.forward(list(zip(whole, pieces, strict=True)), logits=logits, decode=decode)
    other = model.new_sequence()

    def work() -> None:
        model.forward([(other, ids[:9])], decode=not decode)
        model.forward([(sequences[0].fork(), ids[20:24]), (model.new_sequence(), ids[:40])], decode=False)
        assert [sequence.length for sequence in sequences] == [5, 5]

    rows, n_rests = in_rests(
        model, list(zip(sequences, pieces, strict=True)), work, logits=logits, decode=decode
    )
    assert n_rests == model.config["n_layers"] - 1
    for row, wanted in zip(rows, expected, strict=True):
        np.testing.assert_array_equal(row, wanted)
    assert [sequence.save() for sequence in sequences] == [sequence.save() for sequence in whole]


def test_a_changed_sequence_begins_anew(model: _core.Model, ids: Ids) -> None:
    sequence = model.new_sequence()
    model.forward([(sequence, ids[:20])], logits="none")
    shorter = model.new_sequence()
    model.forward([(shorter, ids[:10])], logits="none")
    expected = model.forward([(shorter, ids[30:38])])[0]

    resting = _core.RestingBatch()
    batch: list[Any] = [(sequence, ids[30:38])]
    assert model.forward(batch, stop=always, resting=resting) == []
    sequence.truncate(10)
    n_rests = 0
    while not (rows := model.forward(batch, stop=always, resting=resting)):
        n_rests += 1
    assert n_rests == model.config["n_layers"] - 1, "from the first layer"
    np.testing.assert_array_equal(rows[0], expected)
    assert model.forward([(sequence, ids[:3])], stop=lambda: False, resting=resting), "for another batch"


def test_a_choice_comes_after_the_last_rest(model: _core.Model, ids: Ids) -> None:
    settings: dict[str, Any] = {"temperature": 0.9, "seed": 5}
    expected = model.forward_sample(
        [(model.new_sequence(), ids[:30], _core.Sampler(**settings))], top_logprobs=2, outcomes=[]
    )
    sequence, sampler, resting = model.new_sequence(), _core.Sampler(**settings), _core.RestingBatch()
    outcomes: list[Any] = []
    n_rests = 0
    while not model.forward_sample(
        [(sequence, ids[:30], sampler)], top_logprobs=2, outcomes=outcomes, stop=always, resting=resting
    ):
        n_rests += 1
        assert outcomes == []
        assert sequence.length == 0
    assert outcomes == expected
    assert n_rests == model.config["n_layers"] - 1
    assert sequence.length == 30


def test_what_goes_wrong_leaves_it_as_it_was(model: _core.Model, ids: Ids) -> None:
    sequence, resting = model.new_sequence(), _core.RestingBatch()
    batch: list[Any] = [(sequence, ids[:30])]
    expected = model.forward([(model.new_sequence(), ids[:30])])[0]
    with pytest.raises(ZeroDivisionError):
        model.forward(batch, stop=lambda: 1 // 0, resting=resting)
    assert sequence.length == 0
    assert model.forward(batch, stop=always, resting=resting) == []
    np.testing.assert_array_equal(model.forward(batch, stop=lambda: False, resting=resting)[0], expected)


def test_what_cannot_rest(model: _core.Model, ids: Ids) -> None:
    sequence = model.new_sequence()
    for stop, resting in ((None, _core.RestingBatch()), (always, None)):
        with pytest.raises(ValueError, match="stop and resting: expected both"):
            model.forward([(sequence, ids[:3])], stop=stop, resting=resting)
    long = np.resize(ids, 513)
    with pytest.raises(ValueError, match="up to 512 tokens of one phase"):
        model.forward([(sequence, long)], stop=always, resting=_core.RestingBatch())
    both: list[Any] = [(sequence, ids[:3]), (model.new_sequence(), ids[:1])]
    with pytest.raises(ValueError, match="up to 512 tokens of one phase"):
        model.forward(both, decode=[False, True], stop=always, resting=_core.RestingBatch())
    assert model.forward([], stop=always, resting=_core.RestingBatch()) == []
    assert sequence.length == 0

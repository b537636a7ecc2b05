"""Wrong calls: a ValueError that says what is wrong, no sequence changed, and the model goes on working."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from belle_edge import _core
from belle_edge.errors import ModelFormatError

from .conftest import ModelFile
from .gguf_models import VOCAB_SIZE

Ids = NDArray[np.int32]


@pytest.fixture(scope="module")
def path(model_file: ModelFile) -> Path:
    return model_file("llama", "f32")


@pytest.fixture(scope="module")
def model(path: Path) -> _core.Model:
    return _core.Model(str(path))


BAD_IDS: dict[str, Any] = {
    "negative": [1, -1],
    "one_past_the_end": [VOCAB_SIZE],
    "int32_limit": [2**31 - 1],
    "wraps_to_zero_in_32_bits": [2**32],
    "two_to_the_40": [2**40],
    "wraps_to_minus_one_in_64_bits": np.array([2**64 - 1], dtype=np.uint64),
    "beyond_64_bits": [2**70],
    "empty": [],
    "empty_array": np.array([], dtype=np.int32),
    "floats": [1.0, 2.0],
    "float_array": np.array([1.5], dtype=np.float32),
    "bools": np.array([True]),
    "text": ["1"],
    "string": "12",
    "two_dimensional": [[1, 2]],
    "a_number": 5,
    "none": None,
}


@pytest.mark.parametrize("name", BAD_IDS)
def test_bad_ids(model: _core.Model, ids: Ids, name: str) -> None:
    good, bad = model.new_sequence(), model.new_sequence()
    model.forward([(good, ids[:5]), (bad, ids[:40])], logits="none")
    for logits in ("last", "all", "none"):
        with pytest.raises(ValueError, match=r"token|entry"):
            model.forward([(good, [1]), (bad, BAD_IDS[name])], logits=logits)
    with pytest.raises(ValueError, match=r"token|entry"):
        model.forward_sample([(bad, BAD_IDS[name], _core.Sampler())])
    assert (good.length, bad.length) == (5, 40)
    assert_still_works(model, bad, ids[:40])


def assert_still_works(model: _core.Model, sequence: _core.Sequence, content: Ids) -> None:
    after = model.forward([(sequence, [7, 8])])[0]
    np.testing.assert_array_equal(
        after, model.forward([(model.new_sequence(), [*content.tolist(), 7, 8])])[0]
    )


def test_ids_of_every_integer_type_are_accepted(model: _core.Model) -> None:
    expected = model.forward([(model.new_sequence(), [1, 2, 200])])[0]
    for dtype in (np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64):
        given: Any = np.array([1, 2, 200], dtype=dtype)
        np.testing.assert_array_equal(model.forward([(model.new_sequence(), given)])[0], expected)
    strided = np.array([1, 0, 2, 0, 200, 0])[::2]
    np.testing.assert_array_equal(model.forward([(model.new_sequence(), strided)])[0], expected)


def test_the_same_sequence_twice(model: _core.Model, ids: Ids) -> None:
    sequence = model.new_sequence()
    model.forward([(sequence, ids[:40])], logits="none")
    with pytest.raises(ValueError, match="twice"):
        model.forward([(sequence, [1]), (model.new_sequence(), [2]), (sequence, [3])])
    assert sequence.length == 40
    assert_still_works(model, sequence, ids[:40])


def test_a_sequence_of_another_model(model: _core.Model, path: Path, ids: Ids) -> None:
    mine, foreign = model.new_sequence(), _core.Model(str(path)).new_sequence()
    model.forward([(mine, ids[:40])], logits="none")
    with pytest.raises(ValueError, match="another model"):
        model.forward([(mine, [1]), (foreign, [1])])
    assert (mine.length, foreign.length) == (40, 0)
    assert_still_works(model, mine, ids[:40])


def test_an_unknown_logits_mode(model: _core.Model) -> None:
    sequence = model.new_sequence()
    with pytest.raises(ValueError, match="'last', 'all' or 'none'"):
        model.forward([(sequence, [1])], logits="first")
    assert sequence.length == 0


def test_an_empty_batch_does_nothing(model: _core.Model) -> None:
    assert model.forward([]) == []
    assert model.forward_sample([]) == []


def test_a_failing_sampler_leaves_every_sequence_as_it_was(model: _core.Model, ids: Ids) -> None:
    first, second = model.new_sequence(), model.new_sequence()
    model.forward([(first, ids[:3]), (second, ids[:40])], logits="none")
    hopeless = _core.Sampler(temperature=0.0, banned=range(VOCAB_SIZE))
    with pytest.raises(ValueError, match="banned"):
        model.forward_sample([(first, [1], _core.Sampler()), (second, [1], hopeless)])
    assert (first.length, second.length) == (3, 40)
    assert_still_works(model, second, ids[:40])


def test_a_failing_sampler_beside_others(model: _core.Model, ids: Ids) -> None:
    """With a list for the outcomes its error stands in it, and the others get their tokens."""
    pairs = [(model.new_sequence(), _core.Sampler(temperature=0.0)) for _ in range(2)]
    hopeless = _core.Sampler(temperature=0.0, banned=range(VOCAB_SIZE))
    batch = [(pairs[0][0], ids[:3], pairs[0][1]), (model.new_sequence(), ids[:5], hopeless)]
    batch.append((pairs[1][0], ids[:9], pairs[1][1]))
    for top_logprobs in (-1, 2):
        outcomes: list[Any] = []
        got = model.forward_sample(batch, top_logprobs=top_logprobs, outcomes=outcomes)  # type: ignore[call-overload]
        assert got is outcomes
        assert isinstance(outcomes[1], ValueError)
        assert "banned" in str(outcomes[1])
        assert all(not isinstance(outcome, Exception) for outcome in outcomes[::2])
        lengths = [sequence.length for sequence, _, _ in batch]
    assert lengths == [6, 10, 18], "every sequence moves on"
    alone = model.new_sequence()
    model.forward_sample([(alone, ids[:3], _core.Sampler(temperature=0.0))])
    expected = model.forward_sample([(alone, ids[:3], _core.Sampler(temperature=0.0))], top_logprobs=2)
    assert outcomes[0] == expected[0]


def test_choices_from_rows(model: _core.Model) -> None:
    rows = [np.array([0.0, 3.0, 1.0], np.float32), np.array([np.nan, 0.0, 0.0], np.float32)]
    samplers = [_core.Sampler(temperature=0.0, banned=banned) for banned in ([], [1, 2])]
    outcomes = _core.choose_tokens(rows, samplers, top_logprobs=1, outcomes=[])
    assert outcomes[0][0] == 1
    assert outcomes[0][2] == [(1, outcomes[0][1])]
    assert isinstance(outcomes[1], ModelFormatError)
    for wrong in (rows[:1], [rows[0].reshape(1, 3), rows[0]], [None, None]):
        with pytest.raises((ValueError, TypeError)):
            _core.choose_tokens(wrong, samplers, outcomes=[])


def test_states_that_are_not_bytes(model: _core.Model) -> None:
    for state in (None, "BELLEKV1", 5):
        with pytest.raises(TypeError):
            model.restore(state)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kv_type": "q8_0"}, "auto, f32, f16 or q8"),
        ({"isa": "avx1024"}, "choices: .*scalar"),
        ({"isa": "AVX2"}, "choices: .*scalar"),
    ],
)
def test_unknown_settings(path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _core.Model(str(path), **settings)


def test_missing_model_files(tmp_path: Path) -> None:
    opened: Callable[[Path], _core.Model] = lambda path: _core.Model(str(path))  # noqa: E731
    with pytest.raises(FileNotFoundError):
        opened(tmp_path / "absent.gguf")
    with pytest.raises(IsADirectoryError):
        opened(tmp_path)

"""Sequences: fork, truncate, save and restore, each checked by the logits that follow."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from belle_edge import _core

from .conftest import ModelFile
from .gguf_models import random_llama

Ids = NDArray[np.int32]
Logits = NDArray[np.float32]


@pytest.fixture(
    scope="module",
    params=[
        ("llama", "f32", "auto"),
        ("llama", "q4_0", "auto"),
        ("bloom", "q8_0", "auto"),
        ("llama", "q4_0", "q8"),
        ("bloom", "q8_0", "q8"),
    ],
    ids="-".join,
)
def case(request: pytest.FixtureRequest, model_file: ModelFile) -> tuple[Path, str]:
    architecture, type, kv_type = request.param
    return model_file(architecture, type), kv_type


@pytest.fixture(scope="module")
def path(case: tuple[Path, str]) -> Path:
    return case[0]


@pytest.fixture(scope="module")
def kv_type(case: tuple[Path, str]) -> str:
    return case[1]


@pytest.fixture(scope="module")
def model(tier: str, path: Path, kv_type: str) -> _core.Model:
    return _core.Model(str(path), isa=tier, kv_type=kv_type)


def prefilled(model: _core.Model, ids: Ids) -> _core.Sequence:
    sequence = model.new_sequence()
    if len(ids) > 0:
        model.forward([(sequence, ids)], logits="none")
    return sequence


def continued(model: _core.Model, sequence: _core.Sequence, ids: Ids) -> Logits:
    return model.forward([(sequence, ids)], logits="all")[0]


def afresh(model: _core.Model, *parts: Ids) -> Logits:
    """Logits of the last part, in a new sequence that first reads the others."""
    return continued(model, prefilled(model, np.concatenate(parts[:-1])), parts[-1])


@pytest.mark.parametrize("length", [1, 31, 32, 33, 64, 75])
def test_children_of_a_fork_diverge_and_leave_the_parent_alone(
    model: _core.Model, ids: Ids, length: int
) -> None:
    prompt, left, right, own = ids[:length], ids[100:140], ids[200:240], ids[300:340]
    parent = prefilled(model, prompt)
    first, second = parent.fork(), parent.fork()
    grandchild = first.fork()
    batch = [(first, left), (second, right)]
    of_first, of_second = model.forward(batch, logits="all")
    of_parent = continued(model, parent, own)
    of_grandchild = continued(model, grandchild, own)
    np.testing.assert_array_equal(of_first, afresh(model, prompt, left))
    np.testing.assert_array_equal(of_second, afresh(model, prompt, right))
    np.testing.assert_array_equal(of_parent, afresh(model, prompt, own))
    np.testing.assert_array_equal(of_grandchild, of_parent)
    assert parent.tokens().tolist() == [*prompt.tolist(), *own.tolist()]
    assert first.tokens().tolist() == [*prompt.tolist(), *left.tolist()]


@pytest.mark.slow
def test_a_child_outlives_its_parent(model: _core.Model, ids: Ids) -> None:
    parent = prefilled(model, ids[:70])
    child = parent.fork()
    del parent
    gc.collect()
    prefilled(model, ids[300:500])  # would reuse pages that were released by mistake
    np.testing.assert_array_equal(continued(model, child, ids[70:75]), afresh(model, ids[:70], ids[70:75]))


def test_truncating_a_child_does_not_touch_the_parent(model: _core.Model, ids: Ids) -> None:
    parent = prefilled(model, ids[:70])
    child = parent.fork()
    child.truncate(10)
    continued(model, child, ids[200:280])
    assert parent.length == 70
    np.testing.assert_array_equal(continued(model, parent, ids[70:75]), afresh(model, ids[:70], ids[70:75]))


@pytest.mark.parametrize("length", [0, 1, 31, 32, 33, 69, 70])
def test_truncate_and_go_on_differently(model: _core.Model, ids: Ids, length: int) -> None:
    sequence = prefilled(model, ids[:70])
    sequence.truncate(length)
    assert sequence.length == length
    np.testing.assert_array_equal(sequence.tokens(), ids[:length])
    other = ids[150:190]
    np.testing.assert_array_equal(continued(model, sequence, other), afresh(model, ids[:length], other))


def test_truncate_refuses_to_grow(model: _core.Model, ids: Ids) -> None:
    sequence = prefilled(model, ids[:5])
    with pytest.raises(ValueError, match="5 tokens to 6"):
        sequence.truncate(6)
    assert sequence.length == 5


@pytest.mark.parametrize("length", [0, 1, 32, 75])
def test_a_restored_sequence_goes_on_alike(
    model: _core.Model, tier: str, path: Path, kv_type: str, ids: Ids, length: int
) -> None:
    """In the same model, and in another one of the same file, as after a restart."""
    sequence = prefilled(model, ids[:length])
    state = sequence.save()
    expected = continued(model, sequence, ids[length : length + 40])
    for owner in (model, _core.Model(str(path), isa=tier, kv_type=kv_type, threads=2)):
        restored = owner.restore(state)
        assert restored.length == length
        np.testing.assert_array_equal(restored.tokens(), ids[:length])
        assert restored.save() == state
        np.testing.assert_array_equal(continued(owner, restored, ids[length : length + 40]), expected)


def test_damaged_states_are_refused(model: _core.Model, ids: Ids) -> None:
    state = prefilled(model, ids[:40]).save()
    for position in [*range(48), *range(48, len(state), 97)]:
        damaged = bytearray(state)
        damaged[position] ^= 0x40
        with pytest.raises(ValueError, match=r"state|sequence"):
            model.restore(bytes(damaged))
    for size in [*range(48), *range(48, len(state), 997), len(state) - 1]:
        with pytest.raises(ValueError, match=r"state|sequence"):
            model.restore(state[:size])
    with pytest.raises(ValueError, match="state"):
        model.restore(state + b"\x00")
    assert model.restore(state).length == 40


def test_states_of_another_model_or_kv_type_are_refused(tmp_path: Path, ids: Ids) -> None:
    parts = random_llama(seed=11)
    path = str(parts.write(tmp_path / "one.gguf"))
    model = _core.Model(path)
    state = prefilled(model, ids[:20]).save()
    parts.tensors["blk.1.ffn_up.weight"] *= 1.5  # the same shapes, other weights
    other = _core.Model(str(parts.write(tmp_path / "other.gguf")))
    with pytest.raises(ValueError, match="another model"):
        other.restore(state)
    for kv_type in ("f16", "q8"):
        with pytest.raises(ValueError, match="KV type"):
            _core.Model(path, kv_type=kv_type).restore(state)
    assert model.restore(state).length == 20


@pytest.mark.slow
def test_kv_memory_is_shared_by_forks_and_reused(model_file: ModelFile, ids: Ids) -> None:
    model = _core.Model(str(model_file("llama", "f32")))
    assert model.kv_bytes == 0
    page_bytes = 32 * model.kv_bytes_per_token
    assert model.kv_bytes_per_token == 2 * 2 * 32 * 4  # layers, keys and values, kv width, float32
    sequence = prefilled(model, ids[:70])
    assert model.kv_bytes == 3 * page_bytes
    forks = [sequence.fork() for _ in range(10)]
    assert model.kv_bytes == 3 * page_bytes
    model.forward([(fork, ids[:1]) for fork in forks], logits="none")
    assert model.kv_bytes == 13 * page_bytes  # each has its own copy of the last page alone
    del sequence, forks
    gc.collect()
    again = prefilled(model, ids[: 13 * 32])
    assert model.kv_bytes == 13 * page_bytes
    assert again.length == 13 * 32


@pytest.mark.slow
def test_dropped_sequences_give_their_memory_back(path: Path, ids: Ids) -> None:
    model = _core.Model(str(path))
    sequences = [prefilled(model, ids[:320]) for _ in range(8)]
    assert model.kv_bytes >= 8 * 320 * model.kv_bytes_per_token
    del sequences
    gc.collect()
    assert model.kv_bytes <= 512 * model.kv_bytes_per_token  # stay for the next prompt
    again = prefilled(model, ids[:320])
    assert again.length == 320

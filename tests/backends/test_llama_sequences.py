"""Sequences of the llama.cpp backend: batch, fork, truncate, discard, save and restore."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from belle_edge.backends.base import SequenceState
from belle_edge.backends.llama_cpp import LlamaCppBackend

from .conftest import Foreign
from .sequences import Ids, assert_close, filled, next_logits


@pytest.fixture(scope="module", params=["qwen2", "gpt2", "mamba"])
def backend(request: pytest.FixtureRequest, foreign: Foreign) -> Iterator[LlamaCppBackend]:
    engine = LlamaCppBackend(foreign(request.param), threads=1)
    yield engine
    engine.close()


def test_steps_equal_one_pass(backend: LlamaCppBackend, ids: Ids) -> None:
    whole = next_logits(backend, backend.new_sequence(), ids)
    sequence = backend.new_sequence()
    steps = [next_logits(backend, sequence, part) for part in np.split(ids, [1, 2, 40, 41])]
    assert_close(np.concatenate(steps), whole)
    assert sequence.length == len(ids)
    np.testing.assert_array_equal(sequence.tokens(), ids)


def test_a_batch_equals_its_members(backend: LlamaCppBackend, ids: Ids) -> None:
    parts = np.split(ids, [10, 11, 60])
    alone = [next_logits(backend, backend.new_sequence(), part) for part in parts]
    entries = [(backend.new_sequence(), part) for part in parts]
    for found, expected in zip(backend.forward(entries, logits="all"), alone, strict=True):
        assert_close(found, expected)
    entries = [(backend.new_sequence(), part) for part in parts]
    for found, expected in zip(backend.forward(entries), alone, strict=True):
        assert found.shape == (1, expected.shape[1])
        assert_close(found[0], expected[-1])


def test_forks_diverge_and_leave_the_parent_alone(backend: LlamaCppBackend, ids: Ids) -> None:
    parent = filled(backend, ids[:40])
    child = parent.fork()
    next_logits(backend, child, ids[60:70])
    expected = next_logits(backend, filled(backend, ids[:40]), ids[40:60])
    assert_close(next_logits(backend, parent, ids[40:60]), expected)
    grandchild = child.fork()
    del parent, child
    gc.collect()
    expected = next_logits(backend, filled(backend, np.concatenate([ids[:40], ids[60:70]])), ids[:5])
    assert_close(next_logits(backend, grandchild, ids[:5]), expected)


@pytest.mark.parametrize("length", [0, 1, 39, 40])
def test_truncate_and_go_on_differently(backend: LlamaCppBackend, ids: Ids, length: int) -> None:
    sequence = filled(backend, ids[:40])
    child = sequence.fork()
    sequence.truncate(length)
    assert sequence.length == length
    expected = next_logits(backend, filled_or_new(backend, ids[:length]), ids[50:60])
    assert_close(next_logits(backend, sequence, ids[50:60]), expected)
    assert child.length == 40
    with pytest.raises(ValueError, match="cannot truncate"):
        child.truncate(41)


def filled_or_new(backend: LlamaCppBackend, ids: Ids) -> SequenceState:
    return filled(backend, ids) if len(ids) else backend.new_sequence()


def test_save_and_restore(backend: LlamaCppBackend, ids: Ids) -> None:
    sequence = filled(backend, ids[:40])
    data = sequence.save()
    expected = next_logits(backend, sequence, ids[40:60])
    del sequence
    restored = backend.restore(data)
    np.testing.assert_array_equal(restored.tokens(), ids[:40])
    assert_close(next_logits(backend, restored, ids[40:60]), expected)
    assert backend.restore(backend.new_sequence().save()).length == 0


def test_damaged_and_foreign_states_are_refused(qwen2: LlamaCppBackend, foreign: Foreign, ids: Ids) -> None:
    data = filled(qwen2, ids[:20]).save()
    with pytest.raises(ValueError, match="truncated"):
        qwen2.restore(data[:30])
    with pytest.raises(ValueError, match="truncated or damaged"):
        qwen2.restore(data[:-40])
    with pytest.raises(ValueError, match="not a saved sequence"):
        qwen2.restore(b"x" * len(data))
    for index in (60, len(data) // 2, len(data) - 1):
        with pytest.raises(ValueError, match="damaged"):
            qwen2.restore(data[:index] + bytes([data[index] ^ 1]) + data[index + 1 :])
    for path, kv in ((foreign("gpt2"), "f32"), (foreign("qwen2"), "f16")):
        other = LlamaCppBackend(path, threads=1, kv=kv)
        with pytest.raises(ValueError, match=r"another (model|KV type)"):
            other.restore(data)
        other.close()


def test_discard_moves_the_rest_down(qwen2: LlamaCppBackend, ids: Ids) -> None:
    """Saved right after, the state has its keys turned; a fork keeps what it shared before."""
    sequence = filled(qwen2, ids[:60])
    fork = sequence.fork()
    untouched = next_logits(qwen2, filled(qwen2, ids[:60]), ids[60:64])
    sequence.discard(10, 30)
    assert sequence.length == 40
    np.testing.assert_array_equal(sequence.tokens(), np.concatenate([ids[:10], ids[30:60]]))
    again = qwen2.restore(sequence.save())
    moved = next_logits(qwen2, sequence, ids[60:64])
    assert_close(next_logits(qwen2, again, ids[60:64]), moved)
    assert_close(next_logits(qwen2, fork, ids[60:64]), untouched)
    sequence.discard(44, 44)
    sequence.discard(30, 44)
    assert sequence.length == 30
    with pytest.raises(ValueError, match="cannot discard"):
        sequence.discard(5, 31)


def test_discard_recomputes_a_recurrent_state(foreign: Foreign, ids: Ids) -> None:
    backend = LlamaCppBackend(foreign("mamba"), threads=1)
    sequence = filled(backend, ids[:30])
    sequence.discard(5, 15)
    expected = next_logits(backend, filled(backend, np.concatenate([ids[:5], ids[15:30]])), ids[30:33])
    assert_close(next_logits(backend, sequence, ids[30:33]), expected)
    backend.close()


def test_long_prompts_go_in_several_passes(llama_cpp: Any, converted: Any) -> None:
    path: Path = converted("belle-tiny-zh", "f32")  # a context of 2,048
    backend = LlamaCppBackend(path, threads=1)
    ids = np.random.default_rng(5).integers(4, 8000, size=1100, dtype=np.int32)
    whole = backend.forward([(backend.new_sequence(), ids)])[0]
    sequence = filled(backend, ids[:900])
    found = backend.forward([(sequence, ids[900:])])[0]
    np.testing.assert_allclose(found, whole, atol=1e-2 * np.abs(whole).max())
    backend.close()

"""Times by operation: every operation of a pass has its name, and they add up to no more than the pass took."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from belle_edge import _core

Tiny = Callable[[str], Path]
N_LAYERS = 2
NAMES = {
    "embedding", "norm", "attn_qkv", "rope", "kv_store", "attention", "attn_output", "ffn_gate_up", "ffn_down",
    "activation", "residual", "quantize", "head", "sampling", "other",
}  # fmt: skip
IDS = list(range(300, 340))


def profiled(model: _core.Model, n_passes: int) -> tuple[dict[str, tuple[float, int]], float]:
    """Operations, and the wall time around them."""
    sequence, sampler = model.new_sequence(), _core.Sampler(temperature=0)
    start = time.perf_counter()
    model.start_profile()
    for _ in range(n_passes):
        model.forward_sample([(sequence, IDS, sampler)])
    operations = model.stop_profile()
    return operations, time.perf_counter() - start


@pytest.mark.parametrize("architecture", ["bloom", "llama"])
def test_every_operation_is_named(tiny: Tiny, architecture: str) -> None:
    operations, wall_s = profiled(_core.Model(str(tiny(architecture)), threads=2), 3)
    assert set(operations) == NAMES
    seconds = {name: entry[0] for name, entry in operations.items()}
    calls = {name: entry[1] for name, entry in operations.items()}
    assert min(seconds.values()) >= 0
    assert sum(seconds.values()) <= wall_s
    idle = {name for name, count in calls.items() if count == 0}
    assert idle == ({"rope"} if architecture == "bloom" else set())
    for name in ("attention", "attn_output", "ffn_down", "activation", "kv_store"):
        assert calls[name] == 3 * N_LAYERS
    for name in ("embedding", "head", "sampling", "other"):
        assert calls[name] == 3
    for name in set(NAMES) - idle:
        assert seconds[name] > 0


def test_it_is_off_before_and_after(tiny: Tiny) -> None:
    model = _core.Model(str(tiny("llama")))
    model.forward([(model.new_sequence(), IDS)])
    assert all(entry == (0, 0) for entry in model.stop_profile().values())
    first, _ = profiled(model, 2)
    model.forward([(model.new_sequence(), IDS)])
    assert model.stop_profile() == first  # nothing was added
    second, _ = profiled(model, 1)  # begins at nothing
    assert second["head"][1] == 1


def test_results_are_the_same(tiny: Tiny) -> None:
    model = _core.Model(str(tiny("bloom")))
    (plain,) = model.forward([(model.new_sequence(), IDS)], logits="all")
    model.start_profile()
    (timed,) = model.forward([(model.new_sequence(), IDS)], logits="all")
    assert (plain == timed).all()


def test_an_error_inside_a_pass_ends_its_operations(tiny: Tiny) -> None:
    model = _core.Model(str(tiny("bloom")))
    sequence = model.new_sequence()
    model.start_profile()
    with pytest.raises(ValueError, match="vocabulary"):
        model.forward([(sequence, [10**6])])
    before = model.stop_profile()
    time.sleep(0.05)
    assert model.stop_profile() == before

"""Prompts on tiers whose attention has a kernel of its own for them: those with VNNI or AMX.

A file of floats with a float16 cache computes everything but attention in float32, in any form of the activations: so
block32, which leaves attention to the float32 kernel, differs in attention alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from belle_edge import _core

from .conftest import tier_params
from .gguf_models import random_bloom, random_llama

Ids = NDArray[np.int32]
Logits = NDArray[np.float32]

MODELS = {
    "llama 16": random_llama,
    "llama 100": lambda: random_llama(hidden=400, n_heads=4, n_kv_heads=2),
    "llama 128": lambda: random_llama(hidden=256, n_heads=2, n_kv_heads=1),
    "llama 256": lambda: random_llama(hidden=256, n_heads=1, n_kv_heads=1),
    "bloom 16": random_bloom,
    "bloom 80": lambda: random_bloom(hidden=480, n_heads=6),
}


def tiers_with_a_kernel() -> list[Any]:
    tiers = [tier["name"] for tier in _core.isa_tiers() if tier["prompt_attention"] != "float32"]
    return [param for param in tier_params() if param.values[0] in tiers]


@pytest.fixture(scope="module", params=tiers_with_a_kernel())
def wide_tier(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=sorted(MODELS))
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return MODELS[request.param]().write(tmp_path_factory.mktemp("wide") / "model.gguf")


def open_model(path: Path, tier: str, activations: str = "slab256", **options: Any) -> _core.Model:
    return _core.Model(str(path), isa=tier, activations=activations, **{"kv_type": "f16", **options})


def logits_of(
    model: _core.Model, ids: Ids, sizes: list[int] | None = None, *, decode: bool = False
) -> Logits:
    sequence, rows, first = model.new_sequence(), [], 0
    for size in sizes or [len(ids)]:
        rows.append(model.forward([(sequence, ids[first : first + size])], logits="all", decode=decode)[0])
        first += size
    assert sequence.length == len(ids)
    return np.concatenate(rows)


@pytest.fixture(scope="module")
def whole(wide_tier: str, path: Path, ids: Ids) -> Logits:
    """Of all ids in one call, by one thread."""
    return logits_of(open_model(path, wide_tier, threads=1), ids)


@pytest.fixture(scope="module")
def scalar_of(ids: Ids) -> Callable[[Path], Logits]:
    """path -> the scalar tier's logits of all ids, the same beside each tier."""
    return cache(lambda path: logits_of(open_model(path, "scalar", "block32"), ids))


def difference(logits: Logits, expected: Logits) -> float:
    return float(np.linalg.norm(logits - expected) / np.linalg.norm(expected))


@pytest.mark.slow
def test_logits_are_near_those_of_the_float32_kernel(
    wide_tier: str, path: Path, ids: Ids, whole: Logits, scalar_of: Callable[[Path], Logits]
) -> None:
    """Numbers of 16 bits: nearer than a float16 cache is to one of floats. Two bfloat16 for each factor: as near as
    another tier, since the least difference changes how keys and values are rounded to float16."""
    narrow = logits_of(open_model(path, wide_tier, "block32"), ids)
    scalar = scalar_of(path)
    exact = logits_of(open_model(path, wide_tier, "block32", kv_type="f32"), ids)
    assert 2 * difference(scalar, narrow) < 1e-3
    assert difference(narrow, exact) < 5e-3
    numbers = next(tier["prompt_attention"] for tier in _core.isa_tiers() if tier["name"] == wide_tier)
    limit = difference(narrow, exact) if numbers == "int16" else 2 * difference(scalar, narrow)
    assert 0 < difference(whole, narrow) < limit


@pytest.mark.slow
@pytest.mark.parametrize(
    "sizes", [[17] * 34 + [22], [100] * 6, [33, 1, 16, 50, 128, 256, 116], [1] * 40 + [5, 555]], ids=str
)
def test_any_cut_of_a_prompt_gives_the_same_bits(
    wide_tier: str, path: Path, sizes: list[int], ids: Ids, whole: Logits
) -> None:
    np.testing.assert_array_equal(logits_of(open_model(path, wide_tier, threads=1), ids, sizes), whole)


@pytest.mark.slow
@pytest.mark.parametrize("threads", [2, 7])
def test_threads_do_not_change_the_result(
    wide_tier: str, path: Path, threads: int, ids: Ids, whole: Logits
) -> None:
    """More threads cut a prompt into smaller pieces of work; a shorter one, too, and no row knows of later ones."""
    several = open_model(path, wide_tier, threads=threads)
    for size in (19, 70, 300):
        np.testing.assert_array_equal(logits_of(several, ids[:size]), whole[:size])


@pytest.mark.slow
def test_prompts_beside_each_other_stay_apart(wide_tier: str, path: Path, ids: Ids) -> None:
    """Sequences of one pass, at positions of their own, some with a past that a fork shares."""
    model = open_model(path, wide_tier)
    common = model.new_sequence()
    model.forward([(common, ids[:45])], logits="none")
    entries = [(common.fork(), ids[100:140]), (model.new_sequence(), ids[7:30]), (common, ids[300:450])]
    alone = [model.forward([(sequence.fork(), part)], logits="all")[0] for sequence, part in entries]
    together = model.forward(entries, logits="all")
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_decoding_takes_the_float32_kernel(wide_tier: str, path: Path, ids: Ids) -> None:
    wide, narrow = open_model(path, wide_tier), open_model(path, wide_tier, "block32")
    decoded = logits_of(wide, ids[:48], [16, 1, 15, 16], decode=True)
    np.testing.assert_array_equal(decoded, logits_of(narrow, ids[:48]))


def test_a_float32_cache_keeps_its_kernel(wide_tier: str, path: Path, ids: Ids) -> None:
    wide = open_model(path, wide_tier, kv_type="f32")
    narrow = open_model(path, wide_tier, "block32", kv_type="f32")
    np.testing.assert_array_equal(logits_of(wide, ids[:60]), logits_of(narrow, ids[:60]))


def test_heads_that_are_too_large_keep_their_kernel(wide_tier: str, tmp_path: Path, ids: Ids) -> None:
    path = random_llama(hidden=288, n_heads=1, n_kv_heads=1).write(tmp_path / "model.gguf")
    wide, narrow = open_model(path, wide_tier), open_model(path, wide_tier, "block32")
    np.testing.assert_array_equal(logits_of(wide, ids[:60]), logits_of(narrow, ids[:60]))

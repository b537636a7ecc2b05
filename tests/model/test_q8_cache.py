"""A cache in bytes: its logits beside those of a float16 cache, on every tier, in prompts and in decoding.

What the engine keeps whatever the cache (forks, saves, slides) is in test_sequences.py and test_discard.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from belle_edge import Belle, _core

from .gguf_models import GgufModel, random_bloom, random_llama

Ids = NDArray[np.int32]
Logits = NDArray[np.float32]

MODELS: dict[str, Callable[[], GgufModel]] = {
    "llama 16": random_llama,
    "llama 100": lambda: random_llama(hidden=400, n_heads=4, n_kv_heads=2),
    "bloom 80": lambda: random_bloom(hidden=480, n_heads=6),
    "bloom 5": lambda: random_bloom(hidden=160, n_heads=32),  # a last group of elements that is not full
}


@pytest.fixture(scope="module", params=sorted(MODELS))
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return MODELS[request.param]().write(tmp_path_factory.mktemp("q8") / "model.gguf")


def logits_of(model: _core.Model, ids: Ids, sizes: list[int], *, decode: bool = False) -> Logits:
    sequence, rows, first = model.new_sequence(), [], 0
    for size in sizes:
        rows.append(model.forward([(sequence, ids[first : first + size])], logits="all", decode=decode)[0])
        first += size
    return np.concatenate(rows)


def difference(logits: Logits, expected: Logits) -> float:
    return float(np.linalg.norm(logits - expected) / np.linalg.norm(expected))


def test_logits_are_near_those_of_a_float_cache(tier: str, path: Path, ids: Ids) -> None:
    """Decoded and as a prompt; the bits do not depend on how the tokens are cut into passes."""
    ids = ids[:100]
    exact = logits_of(_core.Model(str(path), isa=tier, kv_type="f32"), ids, [100])
    model = _core.Model(str(path), isa=tier, threads=2, kv_type="q8")
    assert model.kv_type == "q8"
    prompt = logits_of(model, ids, [100])
    assert 1e-4 < difference(prompt, exact) < 2e-2
    np.testing.assert_array_equal(logits_of(model, ids, [31, 1, 40, 28]), prompt)
    decoded = logits_of(model, ids, [1] * 100, decode=True)
    assert 1e-4 < difference(decoded, exact) < 2e-2
    np.testing.assert_array_equal(logits_of(model, ids, [16] * 6 + [4], decode=True), decoded)


def test_tiers_agree(tier: str, path: Path, ids: Ids) -> None:
    found, expected = (
        logits_of(_core.Model(str(path), isa=isa, kv_type="q8"), ids[:70], [70]) for isa in (tier, "scalar")
    )
    assert difference(found, expected) < 5e-3


def test_numbers_beyond_float16_fit(tier: str, tmp_path: Path) -> None:
    """Scales are floats: what a float16 cache refuses is kept. Values of 1e6 are as exact as those of 1."""
    model = random_llama()
    model.tensors["blk.1.attn_v.weight"] *= np.float32(1e6)
    path = str(model.write(tmp_path / "large.gguf"))
    rows = [logits_of(_core.Model(path, isa=tier, kv_type=kv), np.arange(40), [40]) for kv in ("q8", "f32")]
    assert np.isfinite(rows[0]).all()
    assert difference(rows[0], rows[1]) < 5e-2


def test_bytes_of_the_cache(path: Path) -> None:
    """A byte per number, padded to whole groups of four in keys, and two scales of four bytes for each head."""
    model = _core.Model(str(path), kv_type="q8")
    head_dim, config = model.config["head_dim"], model.config
    head_bytes = -(-head_dim // 4) * 4 + head_dim + 8
    assert _core.kv_head_bytes("q8", head_dim) == head_bytes
    assert model.kv_bytes_per_token == config["n_layers"] * config["n_kv_heads"] * head_bytes
    assert [_core.kv_head_bytes(kv, head_dim) for kv in ("f32", "f16")] == [8 * head_dim, 4 * head_dim]
    with pytest.raises(ValueError, match="KV type 'q4' is unknown: expected f32, f16 or q8"):
        _core.kv_head_bytes("q4", head_dim)


def test_auto_does_not_choose_it(converted: Callable[[str, str], Path]) -> None:
    for type, expected in (("f32", "f32"), ("q4_0", "f16")):
        with Belle.load(converted("llama", type)) as model:
            assert model.details["kv_type"] == expected
    with Belle.load(converted("llama", "q4_0"), kv="q8") as model:
        assert model.details["kv_type"] == "q8"
        answer = model.generate("你好", max_tokens=8, temperature=0)
        assert model.generate("你好", max_tokens=8, temperature=0) == answer

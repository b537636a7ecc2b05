"""A cache in bytes: its logits beside those of a reference that rounds alike, on every tier, in prompts and decoding.

What bytes cost in these models is 0.6 to 5 % of the logits' norm: the wider the scores, the more. So the reference
computes it, and the distance from a float cache has no bound of its own.

What the engine keeps whatever the cache (forks, saves, slides) is in test_sequences.py and test_discard.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from belle_edge import Belle, _core

from .gguf_models import GgufModel, one_layer, random_bloom, random_llama
from .numpy_models import BYTES, FLOATS, Floats, logits_of_random

Ids = NDArray[np.int32]
Logits = NDArray[np.float32]
N_TOKENS = 100  # more than three pages

MODELS: dict[str, Callable[[], GgufModel]] = {
    "llama 16": random_llama,
    "llama 100": lambda: random_llama(hidden=200, n_heads=2, n_kv_heads=1),
    "bloom 80": lambda: random_bloom(hidden=240, n_heads=3),
    "bloom 5": lambda: random_bloom(hidden=160, n_heads=32),  # a last group of elements that is not full
}


@dataclass(frozen=True)
class Case:
    path: Path
    exact: Floats  # logits of N_TOKENS, in doubles
    rounded: Floats  # the same where keys and values are bytes
    n_layers: int

    @property
    def cost(self) -> float:
        return difference(self.rounded, self.exact)


@pytest.fixture(scope="module", params=[1, 2], ids=["one layer", "two layers"])
def n_layers(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module", params=sorted(MODELS))
def case(
    request: pytest.FixtureRequest, n_layers: int, tmp_path_factory: pytest.TempPathFactory, ids: Ids
) -> Case:
    model = MODELS[request.param]()
    if n_layers == 1:
        model = one_layer(model)
    exact, rounded = (logits_of_random(model, ids[:N_TOKENS], cache) for cache in (FLOATS, BYTES))
    return Case(model.write(tmp_path_factory.mktemp("q8") / "model.gguf"), exact, rounded, n_layers)


def logits_of(model: _core.Model, ids: Ids, sizes: list[int], *, decode: bool = False) -> Logits:
    sequence, rows, first = model.new_sequence(), [], 0
    for size in sizes:
        rows.append(model.forward([(sequence, ids[first : first + size])], logits="all", decode=decode)[0])
        first += size
    return np.concatenate(rows)


def logits_of_phases(case: Case, tier: str, ids: Ids) -> dict[str, Logits]:
    """With the kernels of a prompt in each form and of decoding. Cuts into passes do not change their bits."""
    found = {}
    for form in next(each["activation_forms"] for each in _core.isa_tiers() if each["name"] == tier):
        model = _core.Model(str(case.path), isa=tier, threads=2, kv_type="q8", activations=form)
        assert model.kv_type == "q8"
        found[form] = logits_of(model, ids, [N_TOKENS])
        np.testing.assert_array_equal(logits_of(model, ids, [31, 1, 40, 28]), found[form])
    found["decoding"] = logits_of(model, ids, [1] * N_TOKENS, decode=True)
    np.testing.assert_array_equal(logits_of(model, ids, [16] * 6 + [4], decode=True), found["decoding"])
    return found


def difference(logits: Logits | Floats, expected: Logits | Floats) -> float:
    return float(np.linalg.norm(logits - expected) / np.linalg.norm(expected))


def test_the_reference_is_the_model(case: Case, ids: Ids) -> None:
    model = _core.Model(str(case.path), kv_type="f32")
    assert difference(logits_of(model, ids, [N_TOKENS]), case.exact) < 1e-4


def test_logits_are_those_of_bytes(tier: str, case: Case, ids: Ids) -> None:
    """Next to what the bytes cost, nothing else counts. In one layer they are the reference's own but for ties. In the
    second one the least difference rounds some of them otherwise."""
    limit = case.cost * {1: 0.1, 2: 0.25}[case.n_layers]
    for phase, logits in logits_of_phases(case, tier, ids).items():
        assert difference(logits, case.rounded) < limit, phase


def test_numbers_beyond_float16_fit(tier: str, tmp_path: Path) -> None:
    """Scales are floats: what a float16 cache refuses is kept. Values of 1e6 are as exact as those of 1."""
    model = random_llama()
    model.tensors["blk.1.attn_v.weight"] *= np.float32(1e6)
    path = str(model.write(tmp_path / "large.gguf"))
    rows = [logits_of(_core.Model(path, isa=tier, kv_type=kv), np.arange(40), [40]) for kv in ("q8", "f32")]
    assert np.isfinite(rows[0]).all()
    assert difference(rows[0], rows[1]) < 5e-2


def test_bytes_of_the_cache(case: Case) -> None:
    """A byte per number, padded to whole groups of four in keys, and two scales of four bytes for each head."""
    model = _core.Model(str(case.path), kv_type="q8")
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
        prompt = "Once upon a time"
        texts = {model.generate(prompt, raw=True, max_tokens=8, temperature=0).text for _ in range(2)}
        assert len(texts) == 1
        assert texts.pop()

"""How the forms of prompts are chosen from what calibration measured (csrc/tuning/activation_policy.h).

Needs a tier that has more than one form, as test_activation_forms.py says.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from gguf import GGMLQuantizationType

from belle_edge import _core

from .gguf_models import GgufModel, random_llama

LARGEST_EXCESS, ADDED_ERROR, SPARE_TIME = 0.06, 0.05, 0.06
TIERS = [
    tier["name"] for tier in _core.isa_tiers() if tier["supported"] and "slab256" in tier["activation_forms"]
] or [pytest.param("none", marks=pytest.mark.skip(reason="no tier here has other forms than block32"))]


class Choice(NamedTuple):
    """One matrix, with the numbers that the rule is about."""

    form: str
    outliers: list[int]
    errors: dict[str, float]
    yardstick: float
    weight_error: float
    influence: float
    n_weights: int

    def excess(self, form: str, mean_square: float) -> float:
        other = self.yardstick**2
        return (self.errors[form] ** 2 - other) / (max(self.weight_error**2, mean_square) + other)

    def added(self, form: str) -> float:
        return self.influence * max(0.0, self.errors[form] ** 2 - self.yardstick**2)


def choices_of(model: GgufModel, path: Path, tier: str, type: str) -> dict[str, Choice]:
    file = _core.GgufFile(str(model.write(path, type)))
    sizes = {tensor.name: tensor.shape[0] * tensor.shape[-1] for tensor in file.tensors()}
    return {
        c["tensor"]: Choice(
            c["form"],
            c["outliers"],
            c["errors"],
            c["yardstick"],
            c["weight_error"],
            c["influence"],
            sizes[c["tensor"]],
        )
        for c in _core.Model(file, isa=tier).activation_forms
    }


def mixed_llama() -> GgufModel:
    """Rows of whole super-blocks; the ways down are q6_k, whatever type the others get."""
    model = random_llama(hidden=256, n_heads=4, n_kv_heads=2, feed_forward=512)
    for layer in range(2):
        name = f"blk.{layer}.ffn_down.weight"
        rows = _core.quantize(model.tensors.pop(name), "q6_k")
        model.raw[name] = (GGMLQuantizationType.Q6_K, rows)
    return model


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("type", ["q4_0", "q4_1", "q4_0 and q6_k"])
def test_spare_time_goes_where_it_helps_most(tier: str, type: str, tmp_path: Path) -> None:
    type, mixed, _ = type.partition(" and ")
    model = mixed_llama() if mixed else random_llama(hidden=256, n_heads=4, n_kv_heads=2, feed_forward=512)
    choices = choices_of(model, tmp_path / "model.gguf", tier, type).values()
    has_tiles = all("bf16" in choice.errors for choice in choices)
    times = {"slab256": 1.0, "bf16": 2.0, "block32": 4.0 if has_tiles else 1.25}
    assert has_tiles or {choice.form for choice in choices} > {"slab256"}, (
        "a matrix of a tile is too large here"
    )
    mean_square = sum(choice.weight_error**2 for choice in choices) / len(choices)
    for choice in choices:
        assert choice.excess("slab256", mean_square) <= LARGEST_EXCESS, (
            "so each started with the fastest form"
        )
    spent = sum((times[choice.form] - 1.0) * choice.n_weights for choice in choices)
    spare = SPARE_TIME * sum(choice.n_weights for choice in choices) - spent
    assert spare >= 0
    added = sum(choice.added(choice.form) for choice in choices)
    allowed = ADDED_ERROR * sum(choice.influence * choice.yardstick**2 for choice in choices)
    upgrades = [
        (choice, form)
        for choice in choices
        for form in choice.errors
        if 0 < (times[form] - times[choice.form]) * choice.n_weights <= spare
        and choice.added(form) < choice.added(choice.form)
    ]
    assert added <= allowed or not upgrades
    worth = [choice.added("slab256") / choice.n_weights for choice in choices]
    best = max(zip(worth, choices, strict=True))[1]
    assert has_tiles or best.form != "slab256"


@pytest.mark.parametrize("tier", TIERS)
def test_the_yardstick_is_the_arithmetic_of_other_engines(tier: str, tmp_path: Path) -> None:
    """Activations with a scale per block of the type: 32 columns, or 256, as slabs that keep the codes have them."""
    choices = choices_of(mixed_llama(), tmp_path / "model.gguf", tier, "q4_0")
    for name, choice in choices.items():
        if "ffn_down" not in name:
            assert choice.yardstick == choice.errors["block32"]
            continue
        assert choice.yardstick > 1.2 * choice.errors["block32"]
        assert choice.outliers == []
        keeps_codes = "bf16" not in choice.errors  # tiles requantize them
        assert choice.errors["slab256"] == pytest.approx(choice.yardstick, rel=0.02 if keeps_codes else 0.4)


@pytest.mark.parametrize("tier", TIERS)
def test_an_error_counts_by_its_branch_s_share_of_the_hidden_state(tier: str, tmp_path: Path) -> None:
    small, large = random_llama(), random_llama()
    small.tensors["blk.0.ffn_down.weight"] = small.tensors["blk.0.ffn_down.weight"] / 16
    large.tensors["blk.0.ffn_down.weight"] = large.tensors["blk.0.ffn_down.weight"] * 16
    before = choices_of(small, tmp_path / "small.gguf", tier, "q4_0")
    after = choices_of(large, tmp_path / "large.gguf", tier, "q4_0")
    for name in ("ffn_gate", "ffn_up", "ffn_down"):
        assert 0 < before[f"blk.0.{name}.weight"].influence < 0.1
        assert 0.9 < after[f"blk.0.{name}.weight"].influence < 1.1
        assert after[f"blk.1.{name}.weight"].influence < 0.1 * before[f"blk.1.{name}.weight"].influence
    for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
        assert after[f"blk.0.{name}.weight"].influence == before[f"blk.0.{name}.weight"].influence

"""What the report says a type costs: exact sizes of other types, and measured divergences where they hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from belle_edge.convert import convert
from belle_edge.convert.type_costs import TypeCost, divergence
from belle_edge.convert.type_mixes import DEFAULT_TYPE

Make = Callable[..., Path]


def costs_of(folder: Path, **settings: Any) -> dict[str, TypeCost]:
    return {cost.type: cost for cost in convert(folder, dry_run=True, **settings).costs}


def test_sizes_are_exact(make_llama: Make) -> None:
    """Also where rows fit no block, or only a smaller one."""
    for overrides in ({}, {"hidden_size": 256, "intermediate_size": 100, "num_key_value_heads": 1}):
        folder = make_llama(**overrides)
        for cost in costs_of(folder).values():
            assert cost.weight_bytes == convert(folder, dry_run=True, type=cost.type).weight_bytes, cost.type


def test_a_file_that_is_not_what_its_name_says(make_bloom: Make) -> None:
    """Rules for single matrices make it another file than the one that was measured."""
    folder = make_bloom()
    assert "q8_0" in costs_of(folder, type="q8_0")
    assert next(iter(costs_of(folder, type="q8_0"))) == "q8_0"
    ruled = costs_of(folder, type="q8_0", tensor_type="blk.0.*=f16")
    assert "q8_0" not in ruled
    assert "f16" in ruled


def test_what_is_printed(make_bloom: Make, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_bloom()
    report = convert(folder, dry_run=True)
    capsys.readouterr()
    report.print()
    printed = " ".join(capsys.readouterr().out.split())
    own = divergence(DEFAULT_TYPE, "bloom")
    assert own is not None
    assert (
        f"cost {own:.2g} from the float model's answers, measured on a small BLOOM (KL divergence)" in printed
    )
    assert "instead f16 " in printed
    assert report.to_dict()["costs"][0] == {
        "type": DEFAULT_TYPE,
        "weight_bytes": report.weight_bytes,
        "divergence": own,
    }


def test_smaller_types_cost_more() -> None:
    for architecture in ("bloom", "llama"):
        names = ("f16", "q8_0", "q5_k_m", "q4_k_m", DEFAULT_TYPE, "iq4_xs")
        known = [found for name in names if (found := divergence(name, architecture)) is not None]
        assert len(known) > 3
        assert known == sorted(known)


def test_the_default_takes_no_more_than_q4_0(make_bloom: Make, make_llama: Make) -> None:
    """Also where 256 divides no row, and where nothing is left to spend."""
    for folder in (
        make_bloom(),
        make_bloom("wide", hidden_size=256, n_head=4),
        make_llama(),
        make_llama("l", hidden_size=256),
    ):
        default, q4_0 = (convert(folder, dry_run=True, type=name).weight_bytes for name in (None, "q4_0"))
        assert default <= q4_0

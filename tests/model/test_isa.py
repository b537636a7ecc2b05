"""Which tier runs: the best by default, BELLE_ISA or the argument otherwise, and never silently another."""

from __future__ import annotations

import pytest

from belle_edge import _core

from .conftest import ModelFile
from .subprocesses import output_of, run_python


def test_the_tier_asked_for_is_the_one_that_runs(tier: str, model_file: ModelFile) -> None:
    assert _core.Model(str(model_file("llama", "f32")), isa=tier).isa == tier


@pytest.mark.slow
def test_the_environment_chooses(tier: str, model_file: ModelFile) -> None:
    script = "print(_core.default_isa(), _core.Model(sys.argv[1]).isa)"
    assert output_of(script, model_file("llama", "f32"), env={"BELLE_ISA": tier}) == f"{tier} {tier}"


@pytest.mark.slow
def test_the_argument_goes_before_the_environment(tier: str, model_file: ModelFile) -> None:
    script = "print(_core.Model(sys.argv[1], isa=sys.argv[2]).isa)"
    assert output_of(script, model_file("llama", "f32"), tier, env={"BELLE_ISA": "bogus"}) == tier


def test_the_default_is_the_best_supported_tier() -> None:
    best = next(tier["name"] for tier in _core.isa_tiers() if tier["supported"])
    assert output_of("print(_core.default_isa())", env={"BELLE_ISA": ""}) == best


def test_an_unknown_tier_is_an_error_that_lists_the_choices(model_file: ModelFile) -> None:
    result = run_python("_core.Model(sys.argv[1])", model_file("llama", "f32"), env={"BELLE_ISA": "bogus"})
    assert result.returncode == 1
    last_line = result.stderr.strip().splitlines()[-1]
    assert last_line.startswith("ValueError")
    assert "bogus" in last_line
    for tier in _core.isa_tiers():
        assert tier["name"] in last_line


def test_an_unsupported_tier_says_what_is_missing(model_file: ModelFile) -> None:
    unsupported = [tier for tier in _core.isa_tiers() if not tier["supported"]]
    if not unsupported:
        pytest.skip("every tier of this build runs here")
    for tier in unsupported:
        reason = tier["missing_features"][0] if tier["compiled"] else "not in this build"
        with pytest.raises(ValueError, match=reason):
            _core.Model(str(model_file("llama", "f32")), isa=tier["name"])


def test_the_scalar_tier_is_always_there() -> None:
    tiers = {tier["name"]: tier for tier in _core.isa_tiers()}
    assert tiers["scalar"]["supported"]
    assert tiers["scalar"]["missing_features"] == []
    # Below it are only those that run when they are named.
    below = [tier["name"] for tier in _core.isa_tiers()]
    assert below[below.index("scalar") + 1 :] in ([], ["amx-emulated"])

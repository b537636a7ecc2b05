"""SamplingParams: validation, merging, and which settings one call ends up with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from belle_edge import SamplingParams
from belle_edge.sampling import resolve

PRESET = {"temperature": 0.35, "top_k": 30, "top_p": 0.85, "repetition_penalty": 1.2}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", -0.1),
        ("temperature", float("nan")),
        ("temperature", float("inf")),
        ("temperature", "hot"),
        ("temperature", True),
        ("top_k", -1),
        ("top_k", 1.5),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("min_p", 1.5),
        ("repetition_penalty", 0.0),
        ("presence_penalty", float("nan")),
        ("frequency_penalty", None),
        ("seed", -1),
        ("seed", 2**64),
        ("banned", [-1]),
        ("banned", 7),
        ("logit_bias", {1: float("inf")}),
        ("logit_bias", {-1: 1.0}),
        ("penalty_scope", "prompt"),
        ("top_logprobs", -1),
        ("top_logprobs", 1.5),
        ("stop", ""),
        ("stop", [""]),
        ("stop", [3]),
    ],
)
def test_values_out_of_range_are_named(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"\[sampling\] {name}"):
        SamplingParams(**{name: value})


def test_numpy_scalars_are_numbers() -> None:
    params = SamplingParams(temperature=np.float32(0.5), top_k=np.int64(3), banned=np.array([1, 2]))
    assert (params.temperature, params.top_k, params.banned) == (0.5, 3, (1, 2))


def test_merged_replaces_and_none_keeps() -> None:
    params = SamplingParams(top_k=5).merged(temperature=0.5, top_k=None)
    assert (params.temperature, params.top_k) == (0.5, 5)
    with pytest.raises(ValueError, match="unknown setting 'topk'"):
        params.merged(topk=3)


def test_containers_are_copied() -> None:
    banned, bias = [1], {2: 1.0}
    params = SamplingParams(banned=banned, logit_bias=bias)
    banned.append(9)
    bias[9] = 1.0
    assert params.banned == (1,)
    assert dict(params.logit_bias) == {2: 1.0}


def test_a_missing_seed_comes_from_entropy() -> None:
    first, second = SamplingParams().with_seed(), SamplingParams().with_seed()
    assert first.seed != second.seed
    assert SamplingParams(seed=3).with_seed().seed == 3


def test_overrides_win_over_the_preset() -> None:
    chosen = resolve(PRESET, None, {"top_k": 5, "temperature": None})
    assert (chosen.temperature, chosen.top_k, chosen.repetition_penalty) == (0.35, 5, 1.2)


def test_temperature_zero_is_plain_unless_penalties_are_named() -> None:
    assert resolve(PRESET, None, {"temperature": 0}).repetition_penalty == 1.0
    assert resolve(PRESET, None, {"temperature": 0, "repetition_penalty": 1.3}).repetition_penalty == 1.3
    assert (
        resolve(PRESET, SamplingParams(repetition_penalty=1.1), {"temperature": 0}).repetition_penalty == 1.1
    )


def test_params_replace_the_preset() -> None:
    chosen = resolve(PRESET, SamplingParams(top_k=7), {"seed": 1})
    assert (chosen.temperature, chosen.top_k, chosen.seed) == (1.0, 7, 1)

"""Types under a size: against every combination of types that there is."""

from __future__ import annotations

import itertools
import random

import pytest

from belle_edge.convert.optimize.size_plan import Choice, cheapest_types, smallest_bytes


def some_matrices(seed: int, n: int = 4) -> dict[str, list[Choice]]:
    """Choices whose costs fall about as rounding errors do, by four for each bit."""
    draw = random.Random(seed)
    made = {}
    for number in range(n):
        size, weight = draw.randint(1, 9) * 64, draw.random() ** 3
        made[f"m{number}"] = [
            Choice(f"t{bits}", size * bits, weight * 4.0**-bits * draw.uniform(0.7, 1.4))
            for bits in (3, 4, 5, 6, 8)
        ]
    return made


def best_cost(choices: dict[str, list[Choice]], n_bytes: int) -> float | None:
    """Of every combination that fits."""
    costs = [
        sum(choice.cost for choice in chosen)
        for chosen in itertools.product(*choices.values())
        if sum(choice.n_bytes for choice in chosen) <= n_bytes
    ]
    return min(costs, default=None)


@pytest.mark.parametrize("seed", range(8))
def test_near_the_best_combination_and_never_larger(seed: int) -> None:
    choices = some_matrices(seed)
    smallest = smallest_bytes(choices)
    largest = sum(options[-1].n_bytes for options in choices.values())
    for n_bytes in range(smallest, largest + 64, 256):
        found = cheapest_types(choices, n_bytes)
        assert found is not None
        assert sum(choice.n_bytes for choice in found.values()) <= n_bytes
        best = best_cost(choices, n_bytes)
        assert best is not None
        step = max(options[-1].n_bytes for options in choices.values())
        roomier = best_cost(choices, max(smallest, n_bytes - step))
        assert roomier is not None
        assert best <= sum(choice.cost for choice in found.values()) <= roomier * (1 + 1e-12)


def test_too_small_is_no_plan_and_enough_is_everything() -> None:
    choices = some_matrices(1)
    assert cheapest_types(choices, smallest_bytes(choices) - 1) is None
    least = cheapest_types(choices, smallest_bytes(choices))
    assert least is not None
    assert {choice.type for choice in least.values()} == {"t3"}
    most = cheapest_types(choices, 10**9)
    assert most is not None
    assert all(choice.cost == min(option.cost for option in choices[name]) for name, choice in most.items())


def test_a_type_that_saves_less_than_a_larger_one_is_left_out() -> None:
    choices = {
        "a": [
            Choice("small", 100, 10.0),
            Choice("useless", 150, 9.9),
            Choice("worse", 180, 12.0),
            Choice("large", 200, 1.0),
        ]
    }
    found = cheapest_types(choices, 160)
    assert found is not None
    assert found["a"].type == "small"
    found = cheapest_types(choices, 200)
    assert found is not None
    assert found["a"].type == "large"


def test_equal_matrices_are_taken_in_the_order_of_the_file() -> None:
    options = [Choice("small", 100, 2.0), Choice("large", 200, 1.0)]
    found = cheapest_types({"first": options, "second": options}, 300)
    assert found is not None
    assert {name: choice.type for name, choice in found.items()} == {"first": "large", "second": "small"}

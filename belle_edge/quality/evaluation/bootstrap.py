"""Intervals by the bootstrap: the value of a task on samples of its own documents, drawn with replacement.

Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13: percentile intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

_SEED = 1234
_DRAWS = 1000
_MOST_VALUES = 4_000_000  # of all draws together, where each draw is a call of Python
_FEWEST_DRAWS = 100


def interval(
    values: Sequence[Any], value_of: Callable[[Sequence[Any]], float], *, is_mean: bool
) -> tuple[float, float] | None:
    """The 95% interval of `value_of(values)`; None for a single document. The same values give the same interval.

    is_mean: `value_of` is the mean of numbers, or a multiple of it.
    """
    n = len(values)
    if n < 2:
        return None
    draws = np.random.default_rng(_SEED)
    if is_mean:
        numbers = np.asarray(values, dtype=np.float64)
        scale = value_of([1.0])
        found = [scale * numbers[draws.integers(n, size=n)].mean() for _ in range(_DRAWS)]
    else:
        n_draws = max(_FEWEST_DRAWS, min(_DRAWS, _MOST_VALUES // n))
        found = [
            float(value_of([values[place] for place in draws.integers(n, size=n)])) for _ in range(n_draws)
        ]
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)

"""How the values of single documents become the value of a task."""

from __future__ import annotations

from collections.abc import Sequence


def percent(values: Sequence[float]) -> float:
    """The mean of values between 0 and 1, in percent."""
    return 100 * sum(values) / len(values)

"""Types under a size: the one for each matrix with which the errors that count most are bought off first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Choice:
    """One type that a matrix may have."""

    type: str
    n_bytes: int
    cost: float  # what its rounding is estimated to cost in answers


@dataclass(frozen=True)
class _Step:
    """From a matrix's type to its next larger one worth taking."""

    name: str
    place: int  # among the matrix's choices, of the larger one
    n_bytes: int  # more
    gain: float  # of cost for each byte


def cheapest_types(choices: Mapping[str, Sequence[Choice]], n_bytes: int) -> dict[str, Choice] | None:
    """The choice for each matrix, of `n_bytes` together at most, with about the least sum of costs; None: too small.

    Each matrix begins with its smallest type. Then the step that saves most cost for its bytes is taken, and so on.
    Types that save less for their bytes than a larger one are left out (those above the lower convex hull). A step
    that does not fit is passed over, and with it the larger types of its matrix.
    """
    useful = {name: _lower_hull(options) for name, options in choices.items()}
    free = n_bytes - sum(options[0].n_bytes for options in useful.values())
    if free < 0:
        return None
    chosen, closed = {name: options[0] for name, options in useful.items()}, set()
    order = {name: place for place, name in enumerate(useful)}
    for step in sorted(_steps(useful), key=lambda step: (-step.gain, order[step.name], step.place)):
        if step.name in closed:
            continue
        if step.n_bytes > free:
            closed.add(step.name)
            continue
        free -= step.n_bytes
        chosen[step.name] = useful[step.name][step.place]
    return chosen


def smallest_bytes(choices: Mapping[str, Sequence[Choice]]) -> int:
    """Of all matrices in their smallest types."""
    return sum(min(option.n_bytes for option in options) for options in choices.values())


def _steps(useful: Mapping[str, list[Choice]]) -> list[_Step]:
    steps = []
    for name, options in useful.items():
        for place, (small, large) in enumerate(pairwise(options), 1):
            more = large.n_bytes - small.n_bytes
            steps.append(_Step(name, place, more, (small.cost - large.cost) / more))
    return steps


def _lower_hull(options: Sequence[Choice]) -> list[Choice]:
    """Those between which each byte saves less and less, smallest first."""
    hull: list[Choice] = []
    for option in sorted(options, key=lambda option: (option.n_bytes, option.cost)):
        if hull and option.cost >= hull[-1].cost:
            continue
        while len(hull) > 1 and _slope(hull[-2], hull[-1]) <= _slope(hull[-1], option):
            hull.pop()
        hull.append(option)
    return hull


def _slope(small: Choice, large: Choice) -> float:
    """Cost saved for each byte."""
    return (small.cost - large.cost) / (large.n_bytes - small.n_bytes)

"""Scales from numbers to places, and axes, for the page's charts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from .markup import Markup, joined, tag
from .page_speech import Speech

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Scale:
    """Places between `begin` and `end` for numbers between `low` and `high`; what is outside stays at the border."""

    low: float
    high: float
    begin: float
    end: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        value = min(max(value, self.low), self.high)
        if self.logarithmic:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.begin + share * (self.end - self.begin)

    def ticks(self, n_most: int) -> list[float]:
        """Round numbers inside: of a logarithmic scale powers of ten, with 2 and 5 where there are few."""
        return _log_ticks(self, n_most) if self.logarithmic else _linear_ticks(self, n_most)


def log_scale(values: Sequence[float], begin: float, end: float) -> Scale:
    """From the power of ten below the least positive value to the one above the largest; at least two of them."""
    positive = [value for value in values if value > 0 and math.isfinite(value)] or [1e-3]
    low, high = math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive)))
    return Scale(10.0**low, 10.0 ** max(high, low + 2), begin, end, logarithmic=True)


def tick_text(speech: Speech, value: float) -> str:
    """0.01, 1, 100; 10⁻⁵ for what would be long."""
    if 0 < value < 1e-3:
        exponent = math.floor(math.log10(value) + 1e-9)
        factor = round(value / 10.0**exponent)
        return ("" if factor == 1 else f"{factor}·") + "10" + str(exponent).translate(_SUPERSCRIPTS)
    return speech.small(value, 1) if value < 1 else speech.plain(value)


def bottom_axis(
    scale: Scale, y: float, top: float, ticks: Sequence[tuple[float, str]], caption: str
) -> Markup:
    """Lines upward to `top` at ticks (value, text), and below them what is measured."""
    marks = (
        joined(
            tag("line", x1=scale.place(value), x2=scale.place(value), y1=top, y2=y, class_="grid"),
            tag("text", text, x=scale.place(value), y=y + 16, text_anchor="middle"),
        )
        for value, text in ticks
    )
    middle = (scale.begin + scale.end) / 2
    return joined(
        *marks,
        tag("line", x1=scale.begin, x2=scale.end, y1=y, y2=y, class_="axis"),
        tag("text", caption, x=middle, y=y + 36, text_anchor="middle", class_="caption"),
    )


def left_axis(
    scale: Scale, x: float, right: float, ticks: Sequence[tuple[float, str]], caption: str
) -> Markup:
    """Lines to `right` at ticks (value, text); above them what is measured."""
    marks = (
        joined(
            tag("line", x1=x, x2=right, y1=scale.place(value), y2=scale.place(value), class_="grid"),
            tag("text", text, x=x - 8, y=scale.place(value) + 4, text_anchor="end"),
        )
        for value, text in ticks
    )
    return joined(*marks, tag("text", caption, x=2, y=scale.end - 14, class_="caption"))


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Places for labels, in the same order, moved on where they would be nearer to one another than `gap`."""
    moved = list(places)
    order = sorted(range(len(places)), key=lambda n: places[n])
    for before, here in pairwise(order):
        moved[here] = max(moved[here], moved[before] + gap)
    return moved


def plot(width: int, height: float, alternative: str, *parts: str | None) -> Markup:
    """A picture `width` units wide, with what it says in words."""
    kind = "plot narrow" if width < 500 else "plot wide"
    box = f"0 0 {width} {height:.0f}"
    return tag("svg", *parts, viewBox=box, role="img", aria_label=alternative, class_=kind)


def _log_ticks(scale: Scale, n_most: int) -> list[float]:
    low, high = math.floor(math.log10(scale.low) + 1e-9), math.ceil(math.log10(scale.high) - 1e-9)
    decades = [10.0**exponent for exponent in range(low, high + 1)]
    if 3 * len(decades) <= n_most + 4:
        decades = [factor * decade for decade in decades for factor in (1, 2, 5)]
    inside = [value for value in decades if scale.low * 0.999 <= value <= scale.high * 1.001]
    return inside[:: max(1, math.ceil(len(inside) / n_most))]


def _linear_ticks(scale: Scale, n_most: int) -> list[float]:
    rough = (scale.high - scale.low) / n_most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(scale.low / step - 1e-9)
    return [n * step for n in range(first, math.floor(scale.high / step + 1e-9) + 1)]

"""How many tokens lie how far from the original: a row of bars for each file, over one logarithmic axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .markup import Markup, joined, tag
from .page_speech import Speech
from .plot_axes import Scale, bottom_axis, plot, tick_text
from .shown_candidates import Shown

_ROW = 96  # units: a row with its heading
_BARS = 58  # units: the highest bar
_BELOW = 34  # units: as far as the bar goes of what lies below the axis
_LEAST_DECADES = 3


@dataclass(frozen=True)
class Bars:
    """Shares of all tokens between edges; below the first edge and from the last one up."""

    edges: tuple[float, ...]
    below: float
    inside: tuple[float, ...]  # [len(edges) - 1]
    above: float


def histogram_chart(speech: Speech, candidates: Sequence[Shown], width: int) -> Markup:
    """All rows have the same axis; each is as high as its own highest bar."""
    rows = [bars_of(shown) for shown in candidates]
    low, high = _shown_range(rows)
    has_below = any(row.below for row in rows)
    margin = _BELOW + 12 if has_below else 8
    scale = Scale(low, high, margin, width - 14, logarithmic=True)
    height = _ROW * len(rows)
    inside = scale.ticks(max(4, width // 90))
    ticks = [(value, tick_text(speech, value)) for value in inside if value > low or not has_below]
    axis = bottom_axis(
        scale, height, 22, ticks, speech.t("divergence of one token from the original (KL, nats)")
    )
    beyond = tag("text", "<\u00a0" + tick_text(speech, low), x=20, y=height + 16, text_anchor="middle")
    drawn = (
        _row(speech, shown, bars, scale, _ROW * (n + 1))
        for n, (shown, bars) in enumerate(zip(candidates, rows, strict=True))
    )
    return plot(
        width, height + 44, alternative(speech, candidates), axis, beyond if has_below else None, *drawn
    )


def alternative(speech: Speech, candidates: Sequence[Shown]) -> str:
    """What the picture shows, in words."""
    t = speech.t
    said = (
        t(
            "{file}: half of the tokens are below {median}, 99 of 100 below {most}; the largest has {largest}.",
            file=shown.label,
            median=speech.small(shown.measures.kl_median),
            most=speech.small(shown.measures.kl_99),
            largest=speech.small(shown.measures.kl_max),
        )
        for shown in candidates
    )
    return " ".join([t("Histogram of divergences, in nats."), *said])


def bars_of(shown: Shown) -> Bars:
    """Counts as shares. Edges up to 0 have no place on the axis: what is below them joins the first bar."""
    histogram = shown.measures.kl_histogram
    n = max(1, sum(histogram.counts))
    shares = [count / n for count in histogram.counts]
    n_dropped = sum(edge <= 0 for edge in histogram.edges)
    edges = histogram.edges[n_dropped:]
    if not edges:
        return Bars((), sum(shares), (), 0.0)
    inside = shares[n_dropped + 1 : -1]
    return Bars(edges, sum(shares[: n_dropped + 1]), tuple(inside), shares[-1])


def _shown_range(rows: Sequence[Bars]) -> tuple[float, float]:
    """The powers of ten around what is not empty."""
    filled = [
        (row.edges[n], row.edges[n + 1]) for row in rows for n, share in enumerate(row.inside) if share > 0
    ] or [(1e-4, 1e-1)]
    low = math.floor(math.log10(min(begin for begin, _ in filled)) + 1e-9)
    high = math.ceil(math.log10(max(end for _, end in filled)) - 1e-9)
    return 10.0 ** min(low, high - _LEAST_DECADES), 10.0**high


def _row(speech: Speech, shown: Shown, bars: Bars, scale: Scale, bottom: float) -> Markup:
    most = max(bars.below, bars.above, *bars.inside, 1e-9)

    def bar(share: float, begin: float, end: float) -> str:
        return f"M{begin:.1f} {bottom}V{bottom - _BARS * share / most:.1f}H{end:.1f}V{bottom}z"

    pieces = [
        bar(share, scale.place(bars.edges[n]) + 0.5, scale.place(bars.edges[n + 1]))
        for n, share in enumerate(bars.inside)
        if share > 0 and bars.edges[n + 1] > scale.low
    ]
    if bars.below:
        pieces.append(bar(bars.below, 6, _BELOW))
    if bars.above:
        pieces.append(bar(bars.above, scale.end + 2, scale.end + 14))
    heading = f"{shown.letter} · {shown.type}" if shown.letter else shown.type
    return joined(
        tag("path", d="".join(pieces), class_=f"bars {shown.colour}"),
        tag("line", x1=2, x2=_BELOW + 4, y1=bottom, y2=bottom, class_="axis")
        if scale.begin > _BELOW
        else None,
        tag("line", x1=scale.begin, x2=scale.end, y1=bottom, y2=bottom, class_="axis"),
        tag("text", heading, x=2, y=bottom - _BARS - 16, class_="heading"),
        _marker(speech.t("mean"), shown.measures.kl_mean, scale, bottom, "end"),
        _marker(speech.percent(0.99), shown.measures.kl_99, scale, bottom, "start"),
    )


def _marker(name: str, value: float, scale: Scale, bottom: float, side: str) -> Markup | None:
    """A line with its name on one side of it; none for what lies outside the axis."""
    if not scale.low <= value <= scale.high:
        return None
    x, kind = scale.place(value), "marker" if side == "end" else "marker dashed"
    return joined(
        tag("line", x1=x, x2=x, y1=bottom - _BARS - 13, y2=bottom, class_=kind),
        tag(
            "text",
            name,
            x=x - 4 if side == "end" else x + 4,
            y=bottom - _BARS - 4,
            text_anchor=side,
            class_="marker-name",
        ),
    )

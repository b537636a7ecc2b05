"""Divergence against size: which file costs what, and buys what."""

from __future__ import annotations

from collections.abc import Sequence

from .markup import Markup, joined, tag
from .page_speech import Speech
from .plot_axes import Scale, bottom_axis, left_axis, log_scale, plot, tick_text
from .shown_candidates import Shown
from .signs import placed_sign

_HEIGHT = 280
_SIGN = 20
_LINE = 17  # units: a label's height
_UNITS = (1, 10**3, 10**6, 10**9)


def size_chart(speech: Speech, candidates: Sequence[Shown], width: int) -> Markup:
    """A point for each file: its sign, and its letter."""
    t = speech.t
    top, bottom, right = 34, _HEIGHT, width - 16
    y_scale = log_scale([shown.measures.kl_mean for shown in candidates], bottom, top)
    largest = max(shown.candidate.side.n_bytes for shown in candidates) or 1
    x_scale = Scale(0, largest * 1.12, 62, right)
    x_ticks = [
        (value, speech.size(round(value))) for value in x_scale.ticks(max(5, width // 100)) if value > 0
    ]
    y_ticks = [(value, tick_text(speech, value)) for value in y_scale.ticks(6)]
    return plot(
        width,
        bottom + 44,
        alternative(speech, candidates),
        left_axis(y_scale, 62, right, y_ticks, t("mean divergence (KL, nats)")),
        bottom_axis(x_scale, bottom, bottom, x_ticks, t("size of the file's weights")),
        *(_error_bar(shown, x_scale, y_scale) for shown in candidates),
        *(_point(shown, x_scale, y_scale) for shown in candidates),
        *_labels(candidates, x_scale, y_scale, width),
    )


def alternative(speech: Speech, candidates: Sequence[Shown]) -> str:
    """What the picture shows, in words."""
    t = speech.t
    said = (
        t(
            "{file}: {size}, divergence {divergence}.",
            file=shown.label,
            size=speech.size(shown.candidate.side.n_bytes),
            divergence=speech.small(shown.measures.kl_mean),
        )
        for shown in candidates
    )
    return " ".join([t("Divergence against size."), *said])


def _point(shown: Shown, x_scale: Scale, y_scale: Scale) -> Markup:
    x, y = x_scale.place(shown.candidate.side.n_bytes), y_scale.place(shown.measures.kl_mean)
    return placed_sign(shown.candidate.verdict.level, x - _SIGN / 2, y - _SIGN / 2, _SIGN)


def _error_bar(shown: Shown, x_scale: Scale, y_scale: Scale) -> Markup:
    x, measures = x_scale.place(shown.candidate.side.n_bytes), shown.measures
    ends = [y_scale.place(measures.kl_mean + sign * measures.kl_error) for sign in (-1, 1)]
    return tag("line", x1=x, x2=x, y1=ends[0], y2=ends[1], class_="error-bar")


def _labels(candidates: Sequence[Shown], x_scale: Scale, y_scale: Scale, width: int) -> list[Markup]:
    """Beside the points, on the side with room, one below the other where they would meet."""
    placed: list[tuple[float, float]] = []
    found = []
    for shown in sorted(candidates, key=lambda shown: -shown.measures.kl_mean):
        x, y = x_scale.place(shown.candidate.side.n_bytes), y_scale.place(shown.measures.kl_mean) + 5
        while any(abs(x - other_x) < 110 and abs(y - other_y) < _LINE for other_x, other_y in placed):
            y += 1
        placed.append((x, y))
        is_left = x > width * 0.7
        text = joined(tag("tspan", shown.letter, class_="heading"), f" {shown.type}")
        anchor, offset = ("end", -_SIGN / 2 - 5) if is_left else ("start", _SIGN / 2 + 5)
        found.append(tag("text", text, x=x + offset, y=y, text_anchor=anchor))
    return found

"""How the error grows from layer to layer: a line for each file."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .markup import Markup, tag
from .page_speech import Speech
from .plot_axes import Scale, bottom_axis, left_axis, log_scale, plot, spread
from .shown_candidates import Shown

_HEIGHT = 260
_MOST_MARKS = 40  # layers up to which every one has its mark
_LINE = 17  # units: a letter's height
_STRETCH = 20  # a wider range than this has a logarithmic axis


def layer_chart(speech: Speech, candidates: Sequence[Shown], width: int) -> Markup:
    """Lines over the number of the layer, from 1; an error that is no number is at the upper border."""
    top, bottom, right = 34, _HEIGHT, width - 34
    last = max((entry.layer for shown in candidates for entry in shown.candidate.layers), default=0)
    x_scale, y_scale = Scale(1, max(1, last) + 1, 62, right), _error_scale(candidates, bottom, top)
    with_layers = [shown for shown in candidates if shown.candidate.layers]
    ends = [y_scale.place(shown.candidate.layers[-1].error) for shown in with_layers]
    x_ticks = [
        (value, speech.plain(value)) for value in x_scale.ticks(max(4, width // 70)) if value == int(value)
    ]
    y_ticks = [(value, speech.part_tick(value)) for value in y_scale.ticks(5)]
    return plot(
        width,
        bottom + 44,
        alternative(speech, candidates),
        left_axis(y_scale, 62, right, y_ticks, speech.t("error of the layer's output")),
        bottom_axis(x_scale, bottom, bottom, x_ticks, speech.t("layer")),
        *(_line(shown, x_scale, y_scale) for shown in with_layers),
        *(
            tag("text", shown.letter, x=right + 9, y=y + 4, class_="heading")
            for shown, y in zip(with_layers, spread(ends, _LINE), strict=True)
        ),
    )


def layer_table(speech: Speech, candidates: Sequence[Shown]) -> Markup:
    """The numbers of the chart."""
    t = speech.t
    with_layers = [shown for shown in candidates if shown.candidate.layers]
    by_layer = [{entry.layer: entry.error for entry in shown.candidate.layers} for shown in with_layers]
    heads = [t("Layer"), *(shown.letter or t("Error") for shown in with_layers)]
    rows = (
        tag(
            "tr",
            tag("th", str(layer + 1), scope="row"),
            *(tag("td", _cell(speech, found.get(layer))) for found in by_layer),
        )
        for layer in sorted({layer for found in by_layer for layer in found})
    )
    head = tag("thead", tag("tr", *(tag("th", text, scope="col") for text in heads)))
    return tag("table", head, tag("tbody", *rows), class_="numbers")


def alternative(speech: Speech, candidates: Sequence[Shown]) -> str:
    """What the picture shows, in words."""
    t = speech.t
    said = []
    for shown in candidates:
        if layers := shown.candidate.layers:
            worst = max(layers, key=lambda entry: entry.error)
            said.append(
                t(
                    "{file}: {first} after layer {begin}, {last} after layer {end}; "
                    "largest after layer {worst}: {most}.",
                    file=shown.label,
                    first=speech.part(layers[0].error),
                    begin=layers[0].layer + 1,
                    last=speech.part(layers[-1].error),
                    end=layers[-1].layer + 1,
                    worst=worst.layer + 1,
                    most=speech.part(worst.error),
                )
            )
    return " ".join([t("Error by layer."), *said])


def _error_scale(candidates: Sequence[Shown], bottom: float, top: float) -> Scale:
    errors = [entry.error for shown in candidates for entry in shown.candidate.layers]
    finite = [error for error in errors if math.isfinite(error) and error > 0] or [1e-3]
    if max(finite) > _STRETCH * min(finite):
        return log_scale(finite, bottom, top)
    return Scale(0, max(finite) * 1.08, bottom, top)


def _line(shown: Shown, x_scale: Scale, y_scale: Scale) -> Markup:
    points = [
        (x_scale.place(entry.layer + 1), y_scale.place(entry.error)) for entry in shown.candidate.layers
    ]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    marks = [tag("circle", cx=x, cy=y, r=2.5) for x, y in points] if len(points) <= _MOST_MARKS else []
    return tag("g", tag("path", d=path, class_="line"), *marks, class_=shown.colour)


def _cell(speech: Speech, error: float | None) -> str:
    return "–" if error is None else speech.part(error)

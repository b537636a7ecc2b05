"""The charts of the page: where things stand, what they say in words."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from belle_edge.languages import LANGUAGES
from belle_edge.quality.comparison import Histogram
from belle_edge.quality.comparison_page.histogram_chart import bars_of, histogram_chart
from belle_edge.quality.comparison_page.layer_chart import layer_chart, layer_table
from belle_edge.quality.comparison_page.page_speech import Speech
from belle_edge.quality.comparison_page.plot_axes import Scale, log_scale, spread, tick_text
from belle_edge.quality.comparison_page.shown_candidates import Shown, shown_candidates
from belle_edge.quality.comparison_page.size_chart import size_chart

from .hand_made import comparison

SPEECH = Speech.of("en")
CHARTS = (histogram_chart, size_chart, layer_chart)


def places(picture: str, pattern: str) -> list[tuple[float, ...]]:
    """The numbers that a pattern finds, in their order."""
    return [tuple(map(float, found.groups())) for found in re.finditer(pattern, picture)]


@pytest.mark.parametrize("chart", CHARTS)
@pytest.mark.parametrize("width", [720, 340])
def test_everything_is_inside_the_picture(chart: object, width: int) -> None:
    assert callable(chart)
    picture = chart(SPEECH, shown_candidates(comparison()), width)
    box = places(picture, r'viewBox="0 0 ([\d.]+) ([\d.]+)"')[0]
    assert box[0] == width
    for horizontal in places(picture, r' x[12]?="(-?[\d.]+)"'):
        assert 0 <= horizontal[0] <= box[0]
    for vertical in places(picture, r' y[12]?="(-?[\d.]+)"'):
        assert 0 <= vertical[0] <= box[1]


@pytest.mark.parametrize("chart", CHARTS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_chart_says_in_words_what_it_shows(chart: object, language: str) -> None:
    assert callable(chart)
    picture = chart(Speech.of(language), shown_candidates(comparison()), 340)
    said = re.search(r'role="img" aria-label="([^"]+)"', picture)
    assert said is not None
    for name in ("A (belle-demo-q8_0.gguf)", "D (belle-demo-broken.gguf)"):
        assert name in said[1]


def test_worse_files_stand_farther_right_and_higher() -> None:
    shown = shown_candidates(comparison())
    means = places(
        histogram_chart(SPEECH, shown, 720), r'x1="([\d.]+)" x2="[\d.]+" y1="[\d.]+" y2="\d+" class="marker"'
    )
    assert len(means) == 4
    assert means == sorted(means)
    signs = places(size_chart(SPEECH, shown, 720), r'<use href="#sign-\w+" x="([\d.]+)" y="([\d.]+)"')
    assert [round(y) for _, y in signs] == sorted((round(y) for _, y in signs), reverse=True)
    assert max(x for x, _ in signs) == signs[0][0]  # q8_0 is the largest


def test_bars_are_shares_of_all_tokens() -> None:
    shown = shown_candidates(comparison("close"))[0]
    bars = bars_of(shown)
    assert bars.below + sum(bars.inside) + bars.above == pytest.approx(1)
    everywhere = replace(shown.measures, kl_histogram=Histogram((-1.0, 0.0, 1.0, 2.0), (1, 2, 3, 4, 10)))
    file = replace(shown.candidate, languages={"all": everywhere})
    bars = bars_of(Shown(file, 0, ""))
    assert bars.edges == (1.0, 2.0)
    assert [bars.below, *bars.inside, bars.above] == pytest.approx([0.3, 0.2, 0.5])


def test_numbers_of_layers_are_a_table_too() -> None:
    shown = shown_candidates(comparison("close", "changed"))
    table = layer_table(SPEECH, shown)
    assert table.count("<tr>") == 13
    assert '<th scope="row">1</th><td>2.2%</td><td>11%</td>' in table


def test_scales() -> None:
    scale = log_scale([0.003, 0.2], 0, 100)
    assert (scale.low, scale.high) == pytest.approx((1e-3, 1.0))
    assert scale.place(10**-1.5) == pytest.approx(50)
    assert scale.place(0) == 0
    assert scale.place(float("inf")) == 100
    assert log_scale([], 0, 1).high / log_scale([], 0, 1).low >= 99
    assert Scale(0, 10, 0, 100).ticks(5) == [0, 2, 4, 6, 8, 10]
    assert Scale(1e-6, 10, 0, 100, logarithmic=True).ticks(4) == pytest.approx([1e-6, 1e-4, 1e-2, 1])
    assert [tick_text(SPEECH, value) for value in (1e-5, 2e-4, 0.01, 0.5, 1, 200)] == [
        "10⁻⁵", "2·10⁻⁴", "0.01", "0.5", "1", "200",
    ]  # fmt: skip


def test_labels_that_would_meet_are_moved_apart() -> None:
    assert spread([10, 50, 12, 11], 5) == [10, 50, 20, 15]

"""The whole page in one language."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..comparison.result import Comparison
from .explanations import glossary, method
from .histogram_chart import histogram_chart
from .layer_chart import layer_chart, layer_table
from .markup import Markup, joined, tag
from .measures_table import measures_table
from .page_speech import Speech
from .shown_candidates import Shown, shown_candidates
from .size_chart import size_chart
from .verdict_cards import identity, verdict_cards
from .worst_prompts import worst_prompts

_WIDE, _NARROW = 720, 340  # units: of the two pictures of a chart, one of which a window shows
Chart = Callable[[Speech, Sequence[Shown], int], Markup]


def article(speech: Speech, comparison: Comparison, *, is_first: bool) -> Markup:
    """From the verdicts to how they were measured. is_first: its language is shown when the page is opened."""
    t, candidates = speech.t, shown_candidates(comparison)
    return tag(
        "article",
        tag("h1", t("How much of the original is left?")),
        _lead(speech, comparison),
        verdict_cards(speech, comparison.reference, candidates),
        _section(t("All measures"), measures_table(speech, candidates)),
        _section(t("Charts"), *_charts(speech, candidates)),
        _worst(speech, candidates),
        _section(t("Words"), glossary(speech)),
        _section(t("How it was measured"), method(speech, comparison)),
        lang=speech.tag,
        class_="first" if is_first else None,
    )


def title(speech: Speech, comparison: Comparison) -> str:
    """Of the window."""
    return speech.t("{name} and its quantized files · BELLE Edge", name=comparison.reference.name)


def _lead(speech: Speech, comparison: Comparison) -> Markup:
    t, tn = speech.t, speech.tn
    n_records, n_tokens = (
        sum(s.n_records for s in comparison.texts),
        sum(s.n_tokens for s in comparison.texts),
    )
    languages = dict.fromkeys(speech.language_name(texts.language) for texts in comparison.texts)
    read = t(
        "{texts}, {tokens} ({languages})",
        languages=t(", ").join(languages),
        texts=tn("{count} text", "{count} texts", n=n_records, count=speech.count(n_records)),
        tokens=tn("{count} token", "{count} tokens", n=n_tokens, count=speech.count(n_tokens)),
    )
    return joined(
        tag(
            "p",
            t(
                "Quantizing makes a model's file smaller, and its answers a little different. "
                "This page shows how different."
            ),
            class_="lead",
        ),
        tag(
            "dl",
            tag("div", tag("dt", t("Original")), tag("dd", identity(speech, comparison.reference))),
            tag("div", tag("dt", t("Read")), tag("dd", read)),
            class_="sources",
        ),
    )


def _section(heading: str, *content: str | None) -> Markup:
    return tag("section", tag("h2", heading), *content)


def _charts(speech: Speech, candidates: Sequence[Shown]) -> list[Markup]:
    t = speech.t
    figures = [
        _figure(
            speech,
            candidates,
            histogram_chart,
            t("How far single tokens are off"),
            t("The farther left the bars stand, the better; each step to the right is ten times as far off."),
        )
    ]
    if len(candidates) > 1:
        figures.append(
            _figure(
                speech,
                candidates,
                size_chart,
                t("What size buys"),
                t(
                    "Lower is nearer to the original, farther left is smaller; the best files are at the lower left."
                ),
            )
        )
    if any(shown.candidate.layers for shown in candidates):
        figure = _figure(
            speech,
            candidates,
            layer_chart,
            t("Error by layer"),
            t("Lines rise gently in a good file; a sudden step shows the layer where something was lost."),
            tag("details", tag("summary", t("The numbers of this chart")), layer_table(speech, candidates)),
        )
        figures.append(figure)
    return figures


def _figure(
    speech: Speech, candidates: Sequence[Shown], chart: Chart, heading: str, how_to_read: str, *more: Markup
) -> Markup:
    pictures = (chart(speech, candidates, width) for width in (_WIDE, _NARROW))
    caption = tag("figcaption", tag("h3", heading), tag("p", how_to_read))
    return tag("figure", caption, *pictures, *more)


def _worst(speech: Speech, candidates: Sequence[Shown]) -> Markup | None:
    found = [part for shown in candidates if (part := worst_prompts(speech, shown))]
    if not found:
        return None
    lead = speech.t(
        "The prompts where each file is farthest from the original: the worst to expect, not what is usual. "
        "What the answers have in common is pale, the first difference is marked."
    )
    return _section(speech.t("Where the answers moved most"), tag("p", lead), *found)

"""Every file by every measure, language by language."""

from __future__ import annotations

from collections.abc import Sequence

from ..comparison.result import Measures
from .markup import Markup, joined, tag
from .page_speech import Speech
from .shown_candidates import Shown


def measures_table(speech: Speech, candidates: Sequence[Shown]) -> Markup:
    """A table that scrolls sideways where the window is narrow; a group of rows for each language."""
    t = speech.t
    languages = list(dict.fromkeys(name for shown in candidates for name in shown.candidate.languages))
    if len(languages) == 2:  # "all" is the only language there is
        languages = languages[1:]
    table = tag(
        "table",
        tag("caption", t("Measures of every file, by language of the texts"), class_="visually-hidden"),
        tag("thead", tag("tr", *_headings(speech))),
        *(_group(speech, language, candidates) for language in languages),
    )
    return tag(
        "div", table, class_="scroll-x", role="region", tabindex=0, aria_label=t("Table of all measures")
    )


def _headings(speech: Speech) -> list[Markup]:
    t = speech.t
    columns = [
        (t("Mean KL"), "kl"),
        (t("99th percentile"), "percentile"),
        (t("Top-1"), "top"),
        (t("Top-5"), "top"),
        (t("Perplexity"), "perplexity"),
        (t("× the original's"), "perplexity"),
    ]
    links = (
        tag("th", tag("a", name, href=f"#{speech.language}-{place}"), scope="col", class_="number")
        for name, place in columns
    )
    return [tag("th", t("File"), scope="col"), *links]


def _group(speech: Speech, language: str, candidates: Sequence[Shown]) -> Markup:
    tn = speech.tn
    found = [(shown, shown.candidate.languages.get(language)) for shown in candidates]
    n_tokens = max(measures.n_tokens for _, measures in found if measures)
    about = next(measures for _, measures in found if measures)
    heading = speech.t(
        "{language}: {places}; the original's perplexity is {perplexity}",
        language=speech.language_heading(language),
        places=tn("{count} place", "{count} places", n=n_tokens, count=speech.count(n_tokens)),
        perplexity=speech.with_error(about.reference_perplexity, about.reference_perplexity_error),
    )
    rows = (_row(speech, shown, measures) for shown, measures in found if measures)
    return tag("tbody", tag("tr", tag("th", tag("span", heading), scope="rowgroup", colspan=7)), *rows)


def _row(speech: Speech, shown: Shown, measures: Measures) -> Markup:
    values = [
        speech.with_error(measures.kl_mean, measures.kl_error),
        speech.small(measures.kl_99),
        speech.percent(measures.top1),
        speech.percent(measures.top5),
        speech.with_error(measures.perplexity, measures.perplexity_error),
        speech.with_error(measures.ratio, measures.ratio_error),
    ]
    name = tag("span", shown.type if shown.letter else shown.name, class_="name")
    return tag(
        "tr",
        tag("th", joined(shown.badge(), name), scope="row"),
        *(tag("td", value, class_="number") for value in values),
    )

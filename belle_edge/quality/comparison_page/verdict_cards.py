"""What comes first: for each file a plain sentence, the sign of its level, and how large it is."""

from __future__ import annotations

from ...languages import msg
from ..comparison.result import Side, Verdict
from .markup import Markup, joined, line, tag
from .page_speech import Speech
from .shown_candidates import Shown
from .signs import NAMES, scale, sign

_ADVICE = {
    "identical": msg("Take it. You will not notice a difference from the original."),
    "close": msg("Good for daily use. Now and then it words an answer differently."),
    "changed": msg(
        "Usable, but many answers differ from the original's. Take a larger file if there is memory."
    ),
    "damaged": msg(
        "Do not rely on it: too little of the original is left. Make or download it again, or take a larger type."
    ),
}


def first_word_sentence(speech: Speech, verdict: Verdict) -> str | None:
    """ "1 answer in 40 changes its first word"; None where no answers were asked for."""
    t, tn, n, of = speech.t, speech.tn, verdict.n, verdict.of
    if of == 0:
        return None
    if n == 0:
        return tn(
            "The one answer keeps its first word",
            "All {of} answers keep their first word",
            n=of,
            of=speech.count(of),
        )
    if n == of:
        return tn(
            "The one answer changes its first word",
            "All {of} answers change their first word",
            n=of,
            of=speech.count(of),
        )
    if 2 * n <= of:
        return t("1 answer in {of} changes its first word", of=speech.count(round(of / n)))
    return t("{n} of {of} answers change their first word", n=speech.count(n), of=speech.count(of))


def verdict_cards(speech: Speech, reference: Side, candidates: list[Shown]) -> Markup:
    """One card for each file."""
    smallest = _smallest_close(candidates)
    cards = (_card(speech, reference, shown, is_smallest=shown is smallest) for shown in candidates)
    return tag("div", *cards, class_="cards in-pairs" if len(candidates) in (2, 4) else "cards")


def _smallest_close(candidates: list[Shown]) -> Shown | None:
    """The one to take, where there is a choice and one of them is close to the original."""
    close = [shown for shown in candidates if shown.candidate.verdict.level in ("identical", "close")]
    return (
        min(close, key=lambda shown: shown.candidate.side.n_bytes) if close and len(candidates) > 1 else None
    )


def _card(speech: Speech, reference: Side, shown: Shown, *, is_smallest: bool) -> Markup:
    t, verdict, measures = speech.t, shown.candidate.verdict, shown.measures
    sentence = first_word_sentence(speech, verdict) or t(
        "In {share} of all places its next word is the original's", share=speech.percent(measures.top1)
    )
    broken = t(
        "At {n} of {of} places it computes no number at all (NaN).",
        n=speech.count(measures.n_broken),
        of=speech.count(measures.n_tokens),
    )
    return tag(
        "section",
        tag("h2", shown.badge(), tag("span", shown.name, class_="name", dir="auto")),
        tag("p", _size(speech, reference, shown), class_="about"),
        tag("p", sign(verdict.level), tag("strong", t(NAMES[verdict.level])), class_="level"),
        scale(verdict.level),
        tag("p", sentence, class_="sentence"),
        tag("p", t(_ADVICE[verdict.level]), class_="advice"),
        tag("p", t("The smallest of these files that is close to the original"), class_="chip")
        if is_smallest
        else None,
        tag("p", broken, class_="broken") if measures.n_broken else None,
        _facts(speech, shown),
        class_=f"card level-{verdict.level}",
    )


def _size(speech: Speech, reference: Side, shown: Shown) -> str:
    """Its type, its bytes, and how much they are of the original's."""
    size = f"{shown.type} · {speech.size(shown.candidate.side.n_bytes)}"
    if not reference.n_bytes:
        return size
    part = speech.part_tick(round(shown.candidate.side.n_bytes / reference.n_bytes, 2))
    return speech.t("{size} · {part} of the original", size=size, part=part)


def _facts(speech: Speech, shown: Shown) -> Markup:
    t, measures = speech.t, shown.measures
    facts = [
        (t("Same next word"), speech.percent(measures.top1)),
        (t("Mean divergence"), t("{number} nats", number=speech.small(measures.kl_mean))),
    ]
    return tag(
        "dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in facts), class_="facts"
    )


def identity(speech: Speech, side: Side) -> Markup:
    """A line about the original: its name, type, size, and what computed it."""
    t = speech.t
    engines = {
        "reference": t("computed in float numbers, layer by layer"),
        "native": t("run by BELLE Edge"),
        "llama.cpp": t("run by llama.cpp"),
    }
    return joined(
        tag("bdi", line(side.name), class_="name"),
        f" · {line(side.type, 24)} · {speech.size(side.n_bytes)} · {engines[side.engine]}",
    )

"""The prompts whose answers moved most: both answers side by side, the first difference marked."""

from __future__ import annotations

import re

from ..comparison.result import WorstPrompt
from .markup import Markup, joined, tag, visible
from .page_speech import Speech, text_lang
from .shown_candidates import Shown

_N_OPEN = 2  # prompts of a file that are in sight; the others are behind a click
_N_MOST = 10
_MOST_CHARS = 1000  # of one text
_BEFORE = 300  # characters before the difference that are kept where a text is longer
_WHOLE = "\u3000-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"  # a character is a word
_WORD = re.compile(rf"\s*(?:[{_WHOLE}]|[^\s{_WHOLE}]+)?")


def worst_prompts(speech: Speech, shown: Shown) -> Markup | None:
    """Of one file; None where it has none."""
    items = [_item(speech, shown, worst) for worst in shown.candidate.worst[:_N_MOST]]
    if not items:
        return None
    tn, more = speech.tn, items[_N_OPEN:]
    summary = tn(
        "{n} more prompt of {file}",
        "{n} more prompts of {file}",
        n=len(more),
        file=shown.letter or shown.name,
    )
    heading = tag("h3", shown.badge(), tag("span", shown.name, class_="name", dir="auto"))
    return tag(
        "section",
        heading,
        tag("ol", *items[:_N_OPEN], class_="worst"),
        tag("details", tag("summary", summary), tag("ol", *more, class_="worst", start=_N_OPEN + 1))
        if more
        else None,
    )


def _item(speech: Speech, shown: Shown, worst: WorstPrompt) -> Markup:
    t = speech.t
    about = t(
        "{language} · divergence {kl}",
        language=speech.language_heading(worst.language),
        kl=speech.small(worst.kl),
    )
    prompt, is_cut = _cut(worst.prompt, 0)
    return tag(
        "li",
        tag("p", about, class_="about"),
        tag(
            "blockquote", visible(prompt), "…" if is_cut else None, lang=text_lang(worst.language), dir="auto"
        ),
        _answers(speech, shown, worst),
    )


def _answers(speech: Speech, shown: Shown, worst: WorstPrompt) -> Markup | None:
    """Both side by side; once, where they are the same."""
    t = speech.t
    if worst.reference_answer is None or worst.answer is None:
        return None
    file = t("File {letter}", letter=shown.letter) if shown.letter else t("This file")
    sides = [(t("Original"), worst.reference_answer), (file, worst.answer)]
    if worst.first_difference is None:
        sides = [(t("Both: the same beginning, with other probabilities behind it"), worst.answer)]
    return tag("div", *(_answer(speech, worst, heading, answer) for heading, answer in sides), class_="pair")


def _answer(speech: Speech, worst: WorstPrompt, heading: str, answer: str) -> Markup:
    text = _marked(speech, answer, worst.first_difference)
    return tag(
        "div",
        tag("h4", heading),
        tag("p", text, lang=text_lang(worst.language), dir="auto", class_="answer"),
    )


def _marked(speech: Speech, answer: str, difference: int | None) -> Markup:
    """What both have in common is pale, the first word that differs marked; the rest follows."""
    t = speech.t
    if not answer.strip():
        return tag(
            "mark" if difference is not None else "span", f"[{t('no text')}]", lang=speech.tag, class_="end"
        )
    if difference is None:
        text, is_cut = _cut(answer, 0)
        return joined(text, "…" if is_cut else None)
    difference = min(difference, len(answer))
    begin = difference - _BEFORE if len(answer) > _MOST_CHARS and difference > _BEFORE else 0
    word = _WORD.match(answer, difference)
    end = word.end() if word and word.end() > difference else len(answer)
    end = min(end, difference + _BEFORE)
    rest, is_cut = _cut(answer[end:], end - begin)
    mark = answer[difference:end]
    return joined(
        "…" if begin else None,
        tag("span", answer[begin:difference], class_="common") if difference > begin else None,
        tag("mark", mark)
        if mark.strip()
        else tag("mark", f"[{t('ends here')}]", lang=speech.tag, class_="end"),
        rest,
        "…" if is_cut else None,
    )


def _cut(text: str, n_before: int) -> tuple[str, bool]:
    room = max(0, _MOST_CHARS - n_before)
    return text[:room], len(text) > room

"""What the words of the page mean, and how its numbers were measured."""

from __future__ import annotations

from ...languages import msg
from ..comparison.result import Comparison
from .markup import Markup, line, tag
from .page_speech import Speech
from .verdict_cards import identity

_GLOSSARY = (  # place, word, what it means
    (
        "token",
        msg("token"),
        msg("A piece of text, often a word or a character. A model writes one token after the other."),
    ),
    (
        "quantization",
        msg("quantization"),
        msg("Rounding a model's weights to few bits. The file becomes smaller, the answers change a little."),
    ),
    (
        "kl",
        msg("KL divergence"),
        msg(
            "How far the file's probabilities for the next token are from the original's, in nats. "
            "0 is no difference at all. Below 0.01 answers hardly change; near 1 they have little in common."
        ),
    ),
    (
        "percentile",
        msg("99th percentile"),
        msg("Of 100 tokens one is worse than this. A mean hides single bad tokens; this number shows them."),
    ),
    (
        "top",
        msg("top-1, top-5"),
        msg(
            "How often both find the same token the most probable one, "
            "and how many of the original's five most probable ones the file has among its own."
        ),
    ),
    (
        "perplexity",
        msg("perplexity"),
        msg(
            "Among how many tokens the model seems to choose at each place of a text. Less is better. "
            "What counts is how much larger it is than the original's."
        ),
    ),
    (
        "error",
        msg("± error"),
        msg(
            "The standard error. With other texts of the same kind the number would be off by about so much."
        ),
    ),
    (
        "layer",
        msg("layer"),
        msg(
            "A model computes in layers. The error of a layer's output is its distance from the original's, as a share."
        ),
    ),
)


def glossary(speech: Speech) -> Markup:
    """Words that tables and charts use; their headings lead here."""
    entries = (
        tag("div", tag("dt", speech.t(word), id=f"{speech.language}-{place}"), tag("dd", speech.t(meaning)))
        for place, word, meaning in _GLOSSARY
    )
    return tag("dl", *entries, class_="glossary")


def method(speech: Speech, comparison: Comparison) -> Markup:
    """How it was measured, and by which texts."""
    t = speech.t
    steps = [
        t(
            "The original and every file read the same texts. "
            "At every place both say how probable each token is as the next one."
        ),
        t(
            "From these probabilities come all measures. No answer is judged by taste, and no other model is asked."
        ),
    ]
    if any(shown.verdict.of for shown in comparison.candidates):
        steps.append(
            t(
                "For the verdict each also answers the prompts, always with its most probable token. "
                "The first token is compared."
            )
        )
    steps += [
        t(
            "The level follows by a fixed rule from the mean divergence, the changed first words, and the perplexity."
        ),
        t(
            "The verdict is about nearness to the original. Whether the original answers well is another question."
        ),
        t(
            "It holds for texts like these. To know it for texts of your own, compare with them: "
            "belle-edge compare --data."
        ),
    ]
    return tag(
        "div",
        tag("ul", *(tag("li", step) for step in steps)),
        _sides(speech, comparison),
        _texts(speech, comparison),
    )


def _sides(speech: Speech, comparison: Comparison) -> Markup:
    sides = (comparison.reference, *(candidate.side for candidate in comparison.candidates))
    return tag("ul", *(tag("li", identity(speech, side)) for side in sides), class_="sides")


def _texts(speech: Speech, comparison: Comparison) -> Markup:
    t = speech.t
    heads = (t("Texts"), t("Language"), t("Records"), t("Tokens"), t("SHA-256"))
    rows = (
        tag(
            "tr",
            tag("th", line(text.name), scope="row", dir="auto"),
            tag("td", speech.language_heading(text.language)),
            tag("td", speech.count(text.n_records), class_="number"),
            tag("td", speech.count(text.n_tokens), class_="number"),
            tag("td", tag("code", text.sha256[:12])),
        )
        for text in comparison.texts
    )
    head = tag(
        "thead",
        tag(
            "tr",
            *(
                tag("th", name, scope="col", class_="number" if 2 <= n <= 3 else None)
                for n, name in enumerate(heads)
            ),
        ),
    )
    table = tag("table", head, tag("tbody", *rows))
    return tag("div", table, class_="scroll-x", role="region", tabindex=0, aria_label=t("Table of the texts"))

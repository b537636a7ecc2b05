"""Real attack strings, whole and while they grow: only what is on the lists comes out, and the text stays readable."""

from __future__ import annotations

import random
import re
import time

import pytest

pytest.importorskip("nh3", reason="pip install '.[server]' brings it")

from belle_edge.rendering import GrowingText, formulas, render, visible_line

from ..hostile.attack_strings import ADDRESSES, CONTROLS, FORMULAS, HUGE, MARKUP, as_markdown
from .safe_html import text_of_safe

ATTACKS = as_markdown()
PARTS = 16


@pytest.mark.parametrize("part", range(PARTS))
def test_attacks(part: int) -> None:
    for text in ATTACKS[part::PARTS]:
        for html in render(text):
            text_of_safe(html)


@pytest.mark.parametrize("part", range(PARTS))
def test_attacks_that_arrive_in_pieces(part: int) -> None:
    chance = random.Random(part)
    for text in ATTACKS[part::PARTS]:
        if len(text) > 500:
            continue
        growing = GrowingText(share=1.0)
        at = 0
        while at < len(text):
            step = chance.choice((2, 7, 19))
            for html in growing.feed(text[at : at + step])[1]:
                text_of_safe(html)
            at += step
        growing.finish()
        assert growing.blocks == render(text)


@pytest.mark.parametrize("seed", range(6))
def test_attacks_in_a_heap(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(25):
        pieces = chance.choices([*MARKUP, *FORMULAS, *ADDRESSES, *CONTROLS], k=6)
        text = "".join(
            piece + chance.choice(("", " ", "\n", "\n\n", "$", "`", "**", "|", "](", "```\n"))
            for piece in pieces
        )
        for html in render(text):
            text_of_safe(html)


@pytest.mark.parametrize("text", MARKUP)
def test_markup_is_shown_as_it_was_written(text: str) -> None:
    """In code nothing is lost: a person reads exactly what the model wrote, but for characters that cannot be seen."""
    (html,) = render(f"~~~\n{text}\n~~~")
    seen = text_of_safe(html)
    assert seen == text.replace("\x00", "\ufffd").replace("\x0b", "\ufffd") + "\n\n"


@pytest.mark.parametrize(
    "address", [text for text in ADDRESSES if not text.lower().startswith(("http", "mailto"))]
)
def test_addresses_that_act_are_no_links(address: str) -> None:
    for text in (f"[x]({address})", f"[x](<{address}>)", f"<{address}>", f"![x]({address})"):
        assert "href" not in "".join(render(text)), text


def test_the_lists_of_formulas() -> None:
    for latex in FORMULAS:
        for block in (False, True):
            html = formulas.formula(latex, block=block)
            text_of_safe(html.replace("\x00", ""))
            assert not re.search(
                r'="[^"]*9999[^"]*"', html.replace(f'alttext="{formulas.escape(latex)}"', "")
            )


@pytest.mark.parametrize("number", range(len(HUGE)))
def test_huge_input_ends_quickly(number: int) -> None:
    begun = time.process_time()
    blocks = render(HUGE[number])
    taken = time.process_time() - begun
    assert taken < 5.0  # it is tens of seconds to hours where the time grows with the square
    for html in blocks[:20]:
        text_of_safe(html)


def test_lines() -> None:
    assert visible_line(" a\n\tb \u202e\x00 c ") == "a b [U+202E]\ufffd c"
    assert visible_line("x" * 300) == "x" * 199 + "…"
    for text in (*MARKUP, *CONTROLS):
        assert "\n" not in visible_line(text)

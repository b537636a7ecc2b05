"""A text that grows: what is shown on the way, and that its end is the same as if it had come at once."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count

import pytest

pytest.importorskip("markdown_it", reason="pip install '.[server]' brings it")

from belle_edge.rendering import GrowingText, render

from .texts import ANSWER, random_text

FIGURE = '<figure class="code" data-language=""><figcaption></figcaption><pre><code>'


def pieces(text: str, chance: random.Random) -> Iterator[str]:
    at = 0
    while at < len(text):
        step = chance.choice((1, 1, 2, 3, 5, 8, 20))
        yield text[at : at + step]
        at += step


def grown(text: str, chance: random.Random) -> GrowingText:
    """A text fed in random pieces. What is applied piece by piece is what the object says it shows."""
    growing = GrowingText(share=1.0)
    shown: list[str] = []
    for piece in pieces(text, chance):
        first, blocks = growing.feed(piece)
        shown[first:] = blocks
        assert shown == growing.blocks
    first, blocks = growing.finish()
    shown[first:] = blocks
    assert shown == growing.blocks
    return growing


@pytest.mark.parametrize("seed", range(8))
def test_an_answer_ends_as_it_is_rendered_at_once(seed: int) -> None:
    assert grown(ANSWER, random.Random(seed)).blocks == render(ANSWER)


@pytest.mark.parametrize("first_seed", range(0, 400, 40))
def test_any_text_ends_as_it_is_rendered_at_once(first_seed: int) -> None:
    for seed in range(first_seed, first_seed + 40):
        text = random_text(seed)
        assert grown(text, random.Random(seed)).blocks == render(text), seed


def test_finished_blocks_stay() -> None:
    growing = GrowingText(share=1.0)
    done: list[str] = []
    for end in range(len(ANSWER)):
        growing.feed(ANSWER[end])
        assert growing.blocks[: len(done)] == done
        done = growing.blocks[:-2]  # the last one, and one that a formula may still take up


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a **bold", "<p>a <strong>bold</strong></p>"),
        ("a **bold*", "<p>a <strong>bold</strong></p>"),
        ("a *it **both", "<p>a <em>it <strong>both</strong></em></p>"),
        ("a ~~gone", "<p>a <s>gone</s></p>"),
        ("2 * 3*4", "<p>2 * 3*4</p>"),
        ("see `code", "<p>see <code>code</code></p>"),
        ("see ``co`de", "<p>see <code>co`de</code></p>"),
        ("see [the pa", "<p>see the pa</p>"),
        ("see [the page](https://exa", "<p>see the page</p>"),
        ("see ![the picture](https://exa", "<p>see the picture</p>"),
        ("a formula $x^2", '<p>a formula <code class="formula-source">x^2</code></p>'),
        ("a formula \\(x", '<p>a formula <code class="formula-source">x</code></p>'),
        ("costs $5", "<p>costs $5</p>"),
        ("$$\nx + y", '<p><code class="formula-source">x + y</code></p>'),
        ("- one\n-", "<ul>\n<li>one</li>\n</ul>"),
        ("text\n-", "<p>text</p>"),
        ("text\n#", "<p>text</p>"),
        ("text\n12", "<p>text</p>"),
        ("text\n``", "<p>text</p>"),
        ("```\ncode", f"{FIGURE}code</code></pre></figure>"),
        ("```\ncode\n``", f"{FIGURE}code\n</code></pre></figure>"),
        ("| a | b", "<table>\n<thead>\n<tr>\n<th>a</th>\n<th>b</th>\n</tr>\n</thead>\n</table>"),
        ("| a | b |\n|-", "<table>\n<thead>\n<tr>\n<th>a</th>\n<th>b</th>\n</tr>\n</thead>\n</table>"),
        ("> a **quo", "<blockquote>\n<p>a <strong>quo</strong></p>\n</blockquote>"),
    ],
)  # fmt: skip
def test_what_is_open_is_shown_as_if_closed(text: str, shown: str) -> None:
    growing = GrowingText(share=1.0)
    growing.feed(text)
    assert "".join(growing.blocks).strip() == shown


def test_rendering_takes_its_share_of_the_time() -> None:
    """With clocks of the test: a look costs 1 ms, a piece comes every 5 ms or 10 ms, and 1 % is 99 ms of rest."""
    growing = GrowingText(share=0.01, clock=count(0.0, 0.005).__next__, cost_clock=count(0.0, 0.001).__next__)
    shown = [bool(growing.feed("word ")[1]) for _ in range(400)]
    assert shown[0]
    assert 18 <= sum(shown) <= 22
    growing.finish()
    assert growing.blocks == render("word " * 400)


def test_a_costly_block_is_still_shown() -> None:
    """A look of a second does not hide what comes for a hundred."""
    growing = GrowingText(share=0.01, clock=count(0.0, 0.005).__next__, cost_clock=count(0.0, 1.0).__next__)
    shown = [bool(growing.feed("word ")[1]) for _ in range(400)]
    assert 4 <= sum(shown) <= 6

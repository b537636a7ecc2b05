"""Long blocks while they grow: made in pieces, and yet as they are when they are rendered as a whole."""

from __future__ import annotations

import random

import pytest

pytest.importorskip("markdown_it", reason="pip install '.[server]' brings it")

from belle_edge.rendering import GrowingText, long_blocks, render

from .safe_html import text_of_safe

CODE = "\n".join(
    f'def function_{number}(x, y):\n    """A text of\n    two lines & <b>."""\n    return x + {number}  # 注释\n'
    for number in range(40)
)
STRING = "x = '''\n" + "a line of a long string, def class return\n" * 60 + "'''\ny = 1\n"
TIGHT = "".join(
    f"{number}. item **number** {number}\n   - inner `one`\n   - inner two\n" for number in range(3, 60)
)
BULLETS = "".join(f"* item {number}\n  goes on\n" for number in range(90))
LOOSE = "".join(f"- item *{number}*\n\n  a paragraph\n\n" for number in range(90))
TURNS_LOOSE = "".join(f"- item {number}\n" for number in range(80)) + "\n" + BULLETS.replace("*", "-")
TABLE = "| a | b | c |\n|:--|:-:|--:|\n" + "".join(f"| {n} | text *{n}* | `x{n}` |\n" for n in range(90))


def blocks_at_line_ends(text: str, seed: int) -> list[tuple[str, list[str]]]:
    """(prefix, what is shown then) for some prefixes that end with a line."""
    chance = random.Random(seed)
    growing = GrowingText(share=1.0)
    at, seen = 0, []
    while at < len(text):
        step = min(chance.choice((5, 25, 70)), len(text) - at)
        line = text.find("\n", at, at + step)
        step = line + 1 - at if line >= 0 else step
        growing.feed(text[at : at + step])
        at += step
        if line >= 0:
            seen.append((text[:at], growing.blocks))
    growing.finish()
    assert growing.blocks == render(text)
    return seen


@pytest.mark.parametrize("text", [TIGHT, BULLETS, LOOSE, TURNS_LOOSE, TABLE, TIGHT + "\nThe end\n" + TABLE])
def test_lists_and_tables(text: str) -> None:
    """At the end of a line what is shown is what the text so far would be as a whole."""
    assert len(text) > 1.5 * long_blocks.LONG_CHARS
    for prefix, shown in blocks_at_line_ends(text, seed=1)[::23]:
        if len(prefix) > long_blocks.LONG_CHARS:
            assert shown == render(prefix)


@pytest.mark.parametrize("language", ["python", "unknown", ""])
@pytest.mark.parametrize("code", [CODE, STRING])
@pytest.mark.parametrize("fence", ["```", "~~~~"])
def test_code(language: str, code: str, fence: str) -> None:
    """The same characters in the same colours, also where a line is far from the begin of its string."""
    text = f"{fence}{language}\n{code}{fence}\nafter it\n"
    for prefix, shown in blocks_at_line_ends(text, seed=2)[::23]:
        assert shown == render(prefix)


def test_only_the_newest_part_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is lexed for a piece has a bound, however long the block is."""
    lengths: list[int] = []
    real = long_blocks.tokens_of
    monkeypatch.setattr(
        long_blocks, "tokens_of", lambda code, language: lengths.append(len(code)) or real(code, language)
    )
    growing = GrowingText(share=1.0)
    growing.feed("```python\n")
    for at in range(0, len(CODE), 20):
        growing.feed(CODE[at : at + 20])
    assert lengths
    assert max(lengths) < 3 * long_blocks.LONG_CHARS
    assert text_of_safe(growing.blocks[0]).removeprefix("python").rstrip("\n") == CODE.rstrip("\n")


@pytest.mark.parametrize(
    "end",
    [
        "\nA paragraph ends it.\n\nAnother\n",
        "# A heading\n",
        "```\ncode\n```\n",
        "\n| a | b |\n|---|---|\n| 1 | 2 |\n",
        "1) another list\n",
        "$$\nx\n$$\n",
    ],
)
def test_ends_of_long_lists(end: str) -> None:
    growing = GrowingText(share=1.0)
    text = BULLETS + end
    for at in range(0, len(text), 31):
        growing.feed(text[at : at + 31])
    growing.finish()
    assert growing.blocks == render(text)

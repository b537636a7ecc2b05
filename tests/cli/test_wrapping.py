"""Streamed text in a terminal's width: no word broken, wide characters two cells, nothing lost."""

from __future__ import annotations

import random

import pytest
from rich.cells import cell_len

from belle_edge.cli.wrapping import LineWrapper, wrapped

TEXTS = [
    "A word that does not fit moves to the next line as a whole, however it came.",
    "我有一艘船，它很大；你想看吗？当然！（请进。）",
    "中文 and English words mixed 在一起的 sentence，“引号”也有。",
    "    indented code\n\tand a tab\n\n- item one\n- item two",
    "Supercalifragilisticexpialidocious-https://example.org/a/very/long/address?with=query end",
]


def pieces_of(text: str, seed: int) -> list[str]:
    chance = random.Random(seed)
    pieces = []
    while text:
        length = chance.randint(1, 7)
        pieces.append(text[:length])
        text = text[length:]
    return pieces


@pytest.mark.parametrize("width", [10, 20, 39, 79])
@pytest.mark.parametrize("text", TEXTS)
def test_pieces_wrap_as_the_whole_text_and_lose_nothing(text: str, width: int) -> None:
    whole = wrapped(text, lambda: width)
    for seed in range(5):
        wrapper = LineWrapper(lambda: width)
        parts = [wrapper.push(piece) for piece in pieces_of(text, seed)]
        assert "".join(parts) + wrapper.flush() == whole
    assert "".join(whole.split()) == "".join(text.split())
    words = set(text.split())
    for line in whole.split("\n"):
        if cell_len(line.expandtabs()) > width:
            assert any(cell_len(word) > width for word in line.split()), (
                "only a word that fits nowhere is cut"
            )
        for word in line.split():
            if word.isascii() and not any(word in other and not other.isascii() for other in words):
                assert word in words, "no word is broken"
        assert not line.lstrip().startswith(tuple("，。；？！）”")), "no line begins with a closing mark"
        assert not line.endswith(("（", "“")), "nor ends with an opening one"


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("one two three", 7, "one two\nthree"),
        ("one two three", 8, "one two\nthree"),
        ("one  two", 4, "one\ntwo"),
        ("你好世界", 4, "你好\n世界"),
        ("你好世界", 5, "你好\n世界"),  # a wide character is not cut in half
        ("你好，世", 4, "你\n好，\n世"),
        ("a\n b", 4, "a\n b"),
        ("    bc", 5, "bc"),  # an indentation that leaves no room
        ("abcdefgh k", 4, "abcdefgh\nk"),
        ("e\u0301a e\u0301a", 3, "e\u0301a\ne\u0301a"),  # combining marks take no cell
    ],
)
def test_where_lines_end(text: str, width: int, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("belle_edge.cli.wrapping._NARROWEST", 1)
    assert wrapped(text, lambda: width) == expected


def test_text_is_shown_as_early_as_it_is_certain() -> None:
    wrapper = LineWrapper(lambda: 40)
    assert wrapper.push("你好") == "你好"
    assert wrapper.push("wor") == ""
    assert wrapper.push("d ") == "word"
    assert wrapper.push("\n") == "\n"
    assert wrapper.push("https://" + "x" * 40) == "https://" + "x" * 40  # no line holds it
    assert wrapper.push("yz") == "yz"


def test_a_window_may_change_its_size() -> None:
    widths = iter([20, 20, 10])
    wrapper = LineWrapper(lambda: next(widths, 10))
    assert wrapper.push("one two three four\nfive six seven\n") == "one two three four\nfive six\nseven\n"

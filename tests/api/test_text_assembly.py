"""Stop strings never leak, however the tokens cut them, and nothing else is lost."""

from __future__ import annotations

import pytest

from belle_edge.text.assembly import TextAssembler


class Letters:
    """A decoder whose token ids are code points."""

    def push(self, token_id: int) -> str:
        return chr(token_id)

    def flush(self) -> str:
        return ""


class Chunks:
    """A decoder whose token ids number prepared pieces of text."""

    def __init__(self, chunks: list[str]) -> None:
        self.chunks = chunks

    def push(self, token_id: int) -> str:
        return self.chunks[token_id]

    def flush(self) -> str:
        return ""


def _run(chunks: list[str], stops: list[str]) -> tuple[list[str], bool]:
    assembler = TextAssembler(Chunks(chunks), stops)  # type: ignore[arg-type]
    pieces = []
    for index in range(len(chunks)):
        pieces.append(assembler.push(index))
        if assembler.stopped:
            break
    return [*pieces, assembler.flush()], assembler.stopped


@pytest.mark.parametrize(
    ("chunks", "stops", "expected", "stopped"),
    [
        (["你好", "\n", "Hu", "man", ":", "x"], ["\nHuman:"], "你好", True),
        (["a\nHuman: b"], ["\nHuman:"], "a", True),
        (["a", "\nHum", "us"], ["\nHuman:"], "a\nHumus", False),
        (["a", "\nHum"], ["\nHuman:"], "a\nHum", False),
        (["\n", "\n", "Human:"], ["\nHuman:"], "\n", True),
        (["aab", "aac"], ["aabaac"], "", True),
        (["x", "aa", "ab"], ["aab"], "xa", True),
        (["one two three"], ["three", "two"], "one ", True),
        (["stop"], ["stop", "sto"], "", True),
        (["abc"], [], "abc", False),
    ],
)
def test_text_before_the_stop(chunks: list[str], stops: list[str], expected: str, stopped: bool) -> None:
    pieces, was_stopped = _run(chunks, stops)
    assert ("".join(pieces), was_stopped) == (expected, stopped)


def test_text_is_held_no_longer_than_needed() -> None:
    pieces, _ = _run(["ab", "c", "a", "x"], ["abcd"])
    assert pieces == ["", "", "abc", "ax", ""]


def test_every_cut_gives_the_same_text() -> None:
    text = "好的。\nHu\nHum\nHuman: next"
    for cut in range(1, len(text)):
        for second in range(cut, len(text)):
            pieces, stopped = _run([text[:cut], text[cut:second], text[second:]], ["\nHuman:"])
            assert stopped
            assert "".join(pieces) == "好的。\nHu\nHum"


def test_letter_by_letter() -> None:
    assembler = TextAssembler(Letters(), ["END"])  # type: ignore[arg-type]
    pieces = [assembler.push(ord(char)) for char in "aENbENDc"]
    assert "".join(pieces) + assembler.flush() == "aENb"

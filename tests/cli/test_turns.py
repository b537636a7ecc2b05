"""How typed lines become turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from belle_edge.cli.turns import read_turns


def turns(*lines: str | type[KeyboardInterrupt]) -> list[str]:
    """The turns of these lines; KeyboardInterrupt stands for Ctrl-C."""
    return list(read_turns(reader(*lines), lambda: None))


def reader(*lines: str | type[KeyboardInterrupt]) -> Callable[[bool], str | None]:
    source: Iterator[str | type[KeyboardInterrupt]] = iter(lines)

    def read(_continued: bool) -> str | None:
        line = next(source, None)
        if line is KeyboardInterrupt:
            raise KeyboardInterrupt
        assert line is None or isinstance(line, str)
        return line

    return read


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["你好"], ["你好"]),
        (["a", "", "b"], ["a", "", "b"]),
        (["a\\", "b"], ["a\nb"]),
        (["a\\", "b\\", "c", "d"], ["a\nb\nc", "d"]),
        (["C:\\\\", "d"], ["C:\\", "d"]),  # two backslashes are one that is meant
        (["a\\"], ["a\n".rstrip()]),  # the input ends
        (['"""', "a", "", "b\\", '"""', "c"], ["a\n\nb\\", "c"]),
        (['"""a', 'b"""'], ["a\nb"]),
        (['"""a"""', "b"], ["a", "b"]),
        (['  """', "a", '"""  '], ["a"]),
        (['"""', "a"], ["a"]),
        (['say """', "b"], ['say """', "b"]),  # only at the start of a turn
        (["a\nb"], ["a\nb"]),  # pasted
        ([], []),
    ],
)
def test_lines_become_turns(lines: list[str], expected: list[str]) -> None:
    assert turns(*lines) == expected


def test_ctrl_c_drops_the_turn_being_typed() -> None:
    assert turns("a\\", KeyboardInterrupt, "b") == ["b"]
    assert turns('"""', "a", KeyboardInterrupt, "b", "c") == ["b", "c"]


def test_continued_lines_are_asked_for_as_such() -> None:
    asked = []
    read = reader("a\\", "b", "c")

    def remember(continued: bool) -> str | None:
        asked.append(continued)
        return read(continued)

    list(read_turns(remember, lambda: None))
    assert asked == [False, True, False, False]

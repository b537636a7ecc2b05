"""What a typed line means: a command, a mistyped command, or a question; and what Tab makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from belle_edge.cli.chat_commands import COMMANDS, help_text, parsed, question
from belle_edge.cli.chat_settings import NAMES, named, value_of
from belle_edge.cli.line_completion import completions
from belle_edge.sampling import SamplingParams


@pytest.mark.parametrize(
    ("turn", "name", "argument"),
    [
        ("/help", "help", ""),
        ("/?", "help", ""),
        ("／？", "help", ""),
        ("／help", "help", ""),
        ("/HELP ", "help", ""),
        ("  /undo", "undo", ""),
        ("/quit", "bye", ""),
        ("/exit", "bye", ""),
        ("/reset", "clear", ""),
        ("/set temperature 0.8", "set", "temperature 0.8"),
        ("/save a b.chat", "save", "a b.chat"),
        ("/system 你是诗人。\n用词简短。", "system", "你是诗人。\n用词简短。"),
    ],
)
def test_commands(turn: str, name: str, argument: str) -> None:
    found = parsed(turn)
    assert found is not None
    assert (found[0].name, found[1]) == (name, argument)


@pytest.mark.parametrize("turn", ["你好", "//etc 是什么？", "1/2", "", " ", "／是什么符号？", "a\n/help"])
def test_questions(turn: str) -> None:
    assert parsed(turn) is None
    assert question(turn) == (turn[1:] if turn.startswith("//") else turn)


@pytest.mark.parametrize(
    ("turn", "advice"),
    [
        ("/hepl", "did you mean /help?"),
        ("/temperature 0.8", "/help lists them"),
        ("/exprot a.md", "did you mean /export?"),
        ("/usr/bin/env\nis a path", "begin with //"),
        ("/", "unknown command /"),
        ("/ help", "unknown command /"),
        ("/" + "x" * 10_000, "…"),
    ],
)
def test_mistyped_commands_never_reach_the_model(turn: str, advice: str) -> None:
    with pytest.raises(ValueError, match="unknown command") as caught:
        parsed(turn)
    assert advice in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("width", [39, 60, 79, 100])
def test_the_help_names_every_command_and_fits(width: int) -> None:
    text = help_text(width)
    assert all(f"/{name}" in text for name in COMMANDS)
    assert all(len(line) <= width for line in text.split("\n"))


def test_settings_by_name() -> None:
    assert named("temperature 0.8") == ("temperature", "0.8")
    assert named("Top-K=40") == ("top_k", "40")
    assert named("seed") == ("seed", "")
    assert named("stop  a b ") == ("stop", "a b")
    assert (value_of("temperature", "0.8"), value_of("top_k", "4"), value_of("stop", "x")) == (0.8, 4, ["x"])
    assert value_of("top_k", "default") is None
    assert set(NAMES) - {"max_tokens"} <= set(SamplingParams.__dataclass_fields__)
    for argument, message in (("temprature 1", "did you mean temperature"), ("x", "there are temperature")):
        with pytest.raises(ValueError, match=message):
            named(argument)
    for name, value, message in (("top_k", "0.5", "whole number"), ("top_p", "much", "a number")):
        with pytest.raises(ValueError, match=f"/set {name}: expected .*{message}"):
            value_of(name, value)


def test_tab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "talks").mkdir()
    for name in ("talk one.chat", "talks/二.md", ".hidden", "bad\x1bname"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert completions("/hel") == ["/help"]
    assert completions("/s") == ["/system ", "/set ", "/save "]
    assert completions("/set top") == ["/set top_k ", "/set top_p "]
    assert completions("/save ta") == ["/save talk one.chat", "/save talks/"]
    assert completions("/load talk o") == ["/load talk one.chat"]
    assert completions("/export talks/") == ["/export talks/二.md"]
    assert completions("/load ~/talks/") == ["/load ~/talks/二.md"]
    assert completions(f"/load {tmp_path}/.h") == [f"/load {tmp_path}/.hidden"]
    assert completions("/load ") == ["/load talk one.chat", "/load talks/"]
    for line in ("", "question", "/undo x", "/nothing ", "/load none/", "/load \x00", "/load ~nobody-here/x"):
        assert completions(line) == []

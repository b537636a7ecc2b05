"""What a chat shows on a real terminal of 80 and of 40 columns, and what its commands do there."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

if sys.platform == "win32":
    pytest.skip("there are no pseudo-terminals here", allow_module_level=True)

from .pseudo_terminal import ESCAPES, PROMPT, Terminal

Belle = Callable[..., Any]
Opener = Callable[..., Terminal]
Converted = Callable[[str, str], Path]
GREEDY = ("--temperature", "0", "--max-tokens", "60")


def flat(text: str) -> str:
    """Without the line breaks of the screen."""
    return " ".join(text.split())


@pytest.mark.slow
@pytest.mark.parametrize("columns", [80, 40])
def test_a_chat_fits_its_screen(chat: Opener, belle: Belle, model: Path, columns: int) -> None:
    question = "写一首诗"
    whole = belle("chat", model, "--quiet", *GREEDY, text=f"{question}\n").stdout
    terminal = chat(model, *GREEDY, columns=columns)
    answer = terminal.ask(question)
    assert "".join(answer.split()).startswith("".join(whole.split()))
    help_shown = terminal.ask("/?")
    assert "/export FILE.md" in help_shown
    assert "Ctrl-C stops an answer" in flat(help_shown)
    settings = terminal.ask("/set")
    mistyped = terminal.ask("/hepl")
    assert "did you mean /help?" in flat(mistyped)
    screen = ESCAPES.sub("", terminal.output[terminal.output.rindex("licence") :]).replace("\r", "")
    for text in (answer, help_shown, settings, mistyped, screen):
        for line in text.split("\n"):
            assert cell_len(line.expandtabs()) < columns, line
    assert not any(line.lstrip().startswith(tuple("，。；！？、")) for line in answer.split("\n"))


@pytest.mark.slow
def test_no_word_of_an_answer_is_broken(command: list[str], belle: Belle, converted: Converted) -> None:
    arguments = [
        "generate",
        str(converted("stories260K/hf", "f32")),  # words, not strings of letters
        "Once upon a time",
        "--raw",
        "--quiet",
        *GREEDY,
    ]
    whole = belle(*arguments).stdout
    terminal = Terminal([*command, *arguments], columns=40)
    try:
        assert terminal.exit_code() == 0
        shown = ESCAPES.sub("", terminal.output).replace("\r", "")
    finally:
        terminal.close()
    assert shown.split() == whole.split()
    assert all(len(line) < 40 for line in shown.split("\n"))
    assert len(shown.strip().split("\n")) > 1


@pytest.mark.slow
def test_settings_change_and_a_mistake_changes_nothing(chat: Opener, model: Path) -> None:
    terminal = chat(model)
    assert "temperature is now 0.8" in terminal.ask("/set temperature 0.8")
    assert "did you mean temperature?" in flat(terminal.ask("/set temprature 0.7"))
    assert "expected a number" in flat(terminal.ask("/set temperature warm"))
    assert "top_p: expected a number" in flat(terminal.ask("/set top_p 3"))
    assert "max_tokens: expected an integer" in flat(terminal.ask("/set max_tokens 0"))
    assert "temperature is 0.8" in terminal.ask("/set temperature")
    shown = terminal.ask("/set").split()
    assert shown[shown.index("temperature") + 1] == "0.8"
    assert shown[shown.index("max_tokens") + 1] == "40"
    assert "max_tokens is now 2" in terminal.ask("/set max_tokens 2")
    assert "cut at 2 tokens" in terminal.ask("写一首诗")
    assert "temperature is now 0.35" in terminal.ask("/set temperature default")


@pytest.mark.slow
def test_export_is_for_people_and_overwrites_nothing(chat: Opener, model: Path, tmp_path: Path) -> None:
    terminal = chat(model, *GREEDY, columns=80)
    assert "nothing was said" in terminal.ask(f"/export {tmp_path}/early.md")
    answer = "".join(terminal.ask("你好").split())
    talk = tmp_path / "my talk.md"
    assert "written to" in terminal.ask(f"/export {talk}")
    text = talk.read_text(encoding="utf-8")
    assert text.startswith("# Conversation with bloom-q4_0\n\n## Question\n\n你好\n\n## Answer\n\n")
    assert answer in "".join(text.split())
    terminal.ask("谢谢")
    assert "exists: choose another name" in flat(terminal.ask(f"/export {talk}"))
    assert talk.read_text(encoding="utf-8") == text
    assert not (tmp_path / "early.md").exists()
    terminal.press(f"/load {tmp_path}/my\t")  # Tab completes paths, spaces included
    terminal.wait_for("my talk.md")
    terminal.press("\r")
    assert "no saved conversation" in flat(terminal.wait_for("\n" + PROMPT))


@pytest.mark.slow
def test_leaving(chat: Opener, model: Path) -> None:
    terminal = chat(model, "--quiet")
    terminal.press("/bye\r")
    assert terminal.exit_code() == 0


@pytest.mark.slow
def test_what_is_loaded_is_shown_meanwhile(chat: Opener, model: Path) -> None:
    terminal = chat(model)
    assert f"loading {model.name}, " in terminal.output
    assert terminal.output.index("loading") < terminal.output.index("licence")

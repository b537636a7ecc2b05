"""`belle-edge chat` on a real pseudo-terminal: keys in, screen out."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("there are no pseudo-terminals here", allow_module_level=True)

import termios

from .pseudo_terminal import ESCAPES, PROMPT, Terminal

CTRL_C, CTRL_D = b"\x03", b"\x04"

Opener = Callable[..., Terminal]
Belle = Callable[..., subprocess.CompletedProcess[str]]


def test_question_answer_and_ctrl_d(chat: Opener, research_only: Path) -> None:
    terminal = chat(research_only)
    shown = " ".join(terminal.output.split())  # lines are wrapped
    assert "research only" in shown  # licence
    assert "factual errors" in shown  # limits
    assert terminal.output.count("factual errors") == 1
    answer = terminal.ask("你好")
    assert answer
    terminal.press(CTRL_D)
    assert terminal.exit_code() == 0
    assert terminal.output.count("factual errors") == 1
    assert "Traceback" not in terminal.output


@pytest.mark.slow
def test_colours_only_where_wanted(chat: Opener, model: Path) -> None:
    assert "\x1b[1;36m> " in chat(model).output.replace("\x01", "").replace("\x02", "")
    for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert not re.search(r"\x1b\[[0-9;]*m", chat(model, **environment).output)


def test_quiet_shows_only_the_prompt(chat: Opener, model: Path) -> None:
    terminal = chat(model, "--quiet", NO_COLOR="1")
    assert ESCAPES.sub("", terminal.output) == PROMPT


def test_commands(chat: Opener, model: Path, tmp_path: Path) -> None:
    terminal = chat(model, "--temperature", "5", "--top-k", "0", "--top-p", "1")
    assert "/regen" in terminal.ask("/help")
    first = terminal.ask("写一首诗")
    assert terminal.ask("/regen") != first  # another seed
    saved = tmp_path / "one.chat"
    assert "saved" in terminal.ask(f"/save {saved}")
    assert "taken back: 写一首诗" in terminal.ask("/undo")
    assert "nothing was said" in terminal.ask("/undo")
    assert "1 question and its answer" in terminal.ask(f"/load {saved}")
    assert "taken back: 写一首诗" in terminal.ask("/undo")
    assert "no such" in terminal.ask("/load none.chat").lower()
    assert "unknown command /nothing" in terminal.ask("/nothing")
    assert "takes no argument" in terminal.ask("/undo now")
    assert "none" in terminal.ask("/system")
    assert "new conversation" in terminal.ask("/system 你是诗人。")
    assert "你是诗人。" in terminal.ask("/system")
    assert "new conversation" in terminal.ask("/reset")
    assert "你是诗人。" in terminal.ask("/system")
    terminal.ask("/system -")
    assert "none" in terminal.ask("/system")
    terminal.press("/exit\r")
    assert terminal.exit_code() == 0


def test_save_does_not_overwrite_a_stranger(chat: Opener, model: Path, tmp_path: Path) -> None:
    stranger = tmp_path / "letter.txt"
    stranger.write_text("mine", encoding="utf-8")
    terminal = chat(model)
    terminal.ask("你好")
    assert "exists" in terminal.ask(f"/save {stranger}")
    assert stranger.read_text(encoding="utf-8") == "mine"
    assert "needs a file name" in terminal.ask("/save")
    assert "saved" in terminal.ask(f"/save {tmp_path / 'mine.chat'}")
    assert "saved" in terminal.ask("/save")  # its own file, again


def test_multi_line_turns(chat: Opener, model: Path) -> None:
    terminal = chat(model)
    terminal.press("第一行\\\r")
    terminal.wait_for("\n. ")
    terminal.ask("第二行")
    assert "taken back: 第一行\n第二行" in terminal.ask("/undo")
    terminal.press('"""\r')
    terminal.wait_for("\n. ")
    terminal.press("甲\r")
    terminal.wait_for("\n. ")
    terminal.ask('乙"""')
    assert "taken back: 甲\n乙" in terminal.ask("/undo")


def test_a_pasted_text_is_one_turn(chat: Opener, model: Path) -> None:
    terminal = chat(model)
    if "\x1b[?2004h" not in terminal.output:
        pytest.skip("this readline knows no bracketed paste")
    terminal.press("\x1b[200~甲\r乙\x1b[201~")
    terminal.wait_for("乙")
    terminal.press("\r")
    terminal.wait_for("\n" + PROMPT)
    assert "taken back: 甲\n乙" in terminal.ask("/undo")


def test_line_editing_and_tab(chat: Opener, model: Path) -> None:
    terminal = chat(model)
    terminal.press("/hel\t")
    terminal.wait_for("/help")
    terminal.press("\r")
    assert "/regen" in terminal.wait_for("\n" + PROMPT)
    terminal.press("你好们\x7f\r")  # Backspace takes one character, not one byte
    terminal.wait_for("\n" + PROMPT)
    assert "taken back: 你好]" in terminal.ask("/undo")


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["while reading the question", "while writing the answer"])
def test_ctrl_c_stops_an_answer(
    chat: Opener, belle: Belle, converted: Callable[[str, str], Path], moment: str
) -> None:
    model, slow = converted("large", "f32"), ("--temperature", "0", "--threads", "1")
    terminal = chat(model, *slow, "--max-tokens", "1500", BELLE_ISA="scalar")
    if moment == "while reading the question":
        question = "春天来了，" * 30
        for line in ('"""', question):
            terminal.press(line + "\r")
            terminal.wait_for("\n. ")
        terminal.press('"""\r')
        terminal.wait_for('"""\n')
        time.sleep(0.3)
    else:
        question = "写一首诗"  # the answer never ends
        answer = belle(
            "chat", model, "-q", *slow, "--max-tokens", "12", text=question, BELLE_ISA="scalar"
        ).stdout
        terminal.press(question + "\r")
        terminal.wait_for(answer.split()[0])
    start = time.monotonic()
    terminal.press(CTRL_C)
    terminal.wait_for("[stopped]")
    assert time.monotonic() - start < 5
    terminal.wait_for("\n" + PROMPT)
    # the terminal and the chat are as usable as before
    if moment == "while reading the question":
        assert "nothing was said" in terminal.ask("/undo")
    else:
        assert f"taken back: {question}" in terminal.ask("/undo")
    terminal.ask("/set max_tokens 5")
    assert terminal.ask("你好")
    terminal.press(CTRL_D)
    assert terminal.exit_code() == 0
    assert termios.tcgetattr(terminal.slave) == terminal.modes
    assert "Traceback" not in terminal.output


@pytest.mark.slow
def test_ctrl_c_at_the_prompt(chat: Opener, model: Path) -> None:
    terminal = chat(model)
    terminal.press("半句")
    terminal.wait_for("半句")
    time.sleep(0.3)  # Python notices a signal in the instant after a key only at the next key
    terminal.press(CTRL_C)
    terminal.wait_for("Ctrl-D")
    terminal.wait_for("\n" + PROMPT)
    terminal.ask("你好")
    assert "taken back: 你好]" in terminal.ask("/undo")


@pytest.mark.slow
def test_history_file(chat: Opener, model: Path, tmp_path: Path) -> None:
    history = tmp_path / "state" / "belle-edge" / "chat_history"
    terminal = chat(model, "--no-history")
    terminal.ask("甲")
    terminal.press(CTRL_D)
    terminal.exit_code()
    assert not history.exists()

    terminal = chat(model)
    terminal.ask("乙")
    terminal.press(CTRL_D)
    terminal.exit_code()
    assert history.read_text(encoding="utf-8") == "乙\n"
    assert history.stat().st_mode & 0o777 == 0o600

    terminal = chat(model)
    terminal.press("\x1b[A")  # the Up key
    terminal.wait_for("乙")


def test_an_unwritable_history_does_no_harm(chat: Opener, model: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    terminal = chat(model, XDG_STATE_HOME=str(blocked))
    terminal.ask("你好")
    terminal.press(CTRL_D)
    assert terminal.exit_code() == 0


@pytest.mark.slow
def test_a_full_context_slides_and_says_so_once(chat: Opener, model: Path) -> None:
    question = "请介绍一下北京的历史和文化"
    terminal = chat(model, "--context", "64")
    shown = [" ".join(terminal.ask(question).split()) for _ in range(6)]
    assert not any("error:" in text for text in shown)
    assert sum("the model forgets the oldest turns" in text for text in shown) == 1
    terminal = chat(model, "--context", "64", "--overflow", "error")
    shown = [" ".join(terminal.ask(question).split()) for _ in range(6)]
    assert any("context holds 64" in text for text in shown)
    assert "new conversation" in terminal.ask("/reset")
    assert "error:" not in terminal.ask(question)


def test_the_screen_gets_no_control_characters() -> None:
    from belle_edge.text.terminal_text import printable

    assert printable("a\x1b[2Jb\x07c\x9b1md\te\n你好\r") == "a[2Jbc1md\te\n你好"

"""`belle-edge chat` in scripts: turns from a pipe, answers to a pipe."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from belle_edge import Belle as Model

Belle = Callable[..., Any]
QUESTIONS = ["你好", "用一句话介绍北京。", "谢谢"]
OPTIONS = ("--temperature", "0", "--max-tokens", "16")


def answers(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The texts of --json lines."""
    assert done.returncode == 0, done.stderr
    return [json.loads(line)["text"] for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_every_line_is_a_turn_of_one_conversation(belle: Belle, model: Path) -> None:
    done = belle("chat", model, "--json", *OPTIONS, text="\n\n".join(QUESTIONS))
    with Model.load(model) as loaded:
        conversation = loaded.conversation(max_tokens=16, temperature=0)
        assert answers(done) == [conversation.say(question).text for question in QUESTIONS]


@pytest.mark.slow
def test_only_answers_go_to_stdout(belle: Belle, model: Path) -> None:
    done = belle("chat", model, *OPTIONS, text="\n".join(QUESTIONS))
    as_json = belle("chat", model, "--json", *OPTIONS, text="\n".join(QUESTIONS))
    assert done.stdout == "".join(f"{answer}\n" for answer in answers(as_json))
    assert "licence" in done.stderr
    quiet = belle("chat", model, "--quiet", *OPTIONS, text="\n".join(QUESTIONS))
    assert (quiet.stdout, quiet.stderr) == (done.stdout, "")


def test_earlier_turns_are_not_computed_again(belle: Belle, model: Path) -> None:
    done = belle("chat", model, "--verbose", *OPTIONS, text="\n".join(QUESTIONS))
    assert done.stderr.count("from the cache") == 2


@pytest.mark.slow
def test_commands_work_in_scripts(belle: Belle, model: Path, tmp_path: Path) -> None:
    saved = tmp_path / "a.chat"
    script = (
        f"你好\n/save {saved}\n谢谢\n/undo\n/regen\n/load {saved}\n谢谢\n/reset\n你好\n//斜线\n/exit\n不答\n"
    )
    found = answers(belle("chat", model, "--json", *OPTIONS, text=script))
    assert len(found) == 6
    hello, thanks, again, resumed, fresh, _ = found
    assert again == hello
    assert resumed == thanks
    assert fresh == hello
    loaded = answers(belle("chat", model, "--json", "--load", saved, *OPTIONS, text="谢谢"))
    assert loaded == [thanks]


@pytest.mark.slow
def test_a_turn_over_several_lines(belle: Belle, model: Path) -> None:
    one = answers(belle("chat", model, "--json", *OPTIONS, text="甲\\\n乙\n"))
    assert len(one) == 1
    assert answers(belle("chat", model, "--json", *OPTIONS, text='"""\n甲\n乙\n"""\n')) == one
    assert answers(belle("chat", model, "--json", *OPTIONS, text='"""甲\n乙')) == one  # the end closes it


def test_system_text(belle: Belle, model: Path) -> None:
    done = belle("chat", model, "--json", "--system", "你是诗人。", *OPTIONS, text="你好")
    with Model.load(model) as loaded:
        messages = [{"role": "system", "content": "你是诗人。"}, {"role": "user", "content": "你好"}]
        assert answers(done) == [loaded.chat(messages, max_tokens=16, temperature=0).text]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_chat(belle: Belle, model: Path) -> None:
    script = "\n".join([*QUESTIONS, "/regen"])
    wild = ("--temperature", "5", "--top-k", "0", "--top-p", "1", "--max-tokens", "16")
    runs = [belle("chat", model, "--json", "--seed", str(seed), *wild, text=script) for seed in (1, 1, 2)]
    assert answers(runs[0]) == answers(runs[1]) != answers(runs[2])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "script", "message"),
    [
        ((), "/nothing", "unknown command"),
        ((), "/undo", "nothing was said"),
        ((), "/load none.chat", "none.chat"),
        (("--load", "MODEL"), "", "no saved conversation"),
        (("--load", "none.chat"), "", "none.chat"),
        (("--load", "none.chat", "--system", "x"), "", "--system"),
        (("--context", "8"), "请介绍一下北京的历史和文化，说得详细一点", "context holds 8"),
        (("--top-p", "2"), "", "--top-p"),
        (("--context", "999999"), "", "context"),
    ],
)
def test_an_error_ends_a_script(
    belle: Belle, model: Path, arguments: tuple[str, ...], script: str, message: str
) -> None:
    words = [str(model) if word == "MODEL" else word for word in arguments]
    done = belle("chat", model, "--quiet", *words, text=f"{script}\n你好\n")
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_file_without_a_template(belle: Belle, converted: Callable[[str, str], Path]) -> None:
    done = belle("chat", converted("llama", "f32"), "--quiet", text="x")
    assert done.returncode == 1
    assert "template" in done.stderr


def test_input_that_is_not_utf8(command: list[str], model: Path) -> None:
    done = subprocess.run(
        [*command, "chat", str(model), "--quiet"],
        input="你好".encode("gbk"),
        capture_output=True,
        timeout=180,
    )
    assert done.returncode == 1
    assert b"not UTF-8" in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals work differently on Windows")
def test_ctrl_c_ends_a_script(command: list[str], converted: Callable[[str, str], Path]) -> None:
    model = converted("large", "f32")  # whose answers never end
    process = subprocess.Popen(
        [*command, "chat", str(model), "--quiet", "--temperature", "0", "--max-tokens", "1000"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("写一首诗\n".encode())
    process.stdin.flush()
    assert process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=180)
    assert process.returncode == 130
    assert b"Traceback" not in errors

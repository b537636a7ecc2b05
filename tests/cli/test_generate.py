"""`belle-edge generate`: prompts in, answers out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from belle_edge import Belle as Model

Belle = Callable[..., Any]
Converted = Callable[[str, str], Path]
QUESTION = "用一句话介绍北京。"


@pytest.mark.slow
def test_argument_file_and_stdin(belle: Belle, model: Path, tmp_path: Path) -> None:
    options = ("--temperature", "0", "--max-tokens", "20")
    expected = belle("generate", model, QUESTION, *options)
    assert expected.returncode == 0
    assert len(expected.stdout) > 3
    prompt = tmp_path / "prompt.txt"
    prompt.write_text(QUESTION + "\n", encoding="utf-8")
    assert belle("generate", model, "--file", prompt, *options).stdout == expected.stdout
    prompt.write_text(QUESTION + "\n", encoding="utf-8-sig")  # as Windows editors write it
    assert belle("generate", model, "--file", prompt, *options).stdout == expected.stdout
    assert belle("generate", model, *options, text=QUESTION + "\n").stdout == expected.stdout
    assert belle("generate", model, QUESTION, "--no-stream", *options).stdout == expected.stdout


@pytest.mark.slow
def test_json(belle: Belle, model: Path) -> None:
    done = belle("generate", model, QUESTION, "--json", "--temperature", "0", "--max-tokens", "20")
    report = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert report["completion_tokens"] == len(report["token_ids"])
    assert report["finish_reason"] in ("stop", "length", "stop_string")
    assert "logprobs" not in report
    plain = belle("generate", model, QUESTION, "--temperature", "0", "--max-tokens", "20")
    assert plain.stdout == report["text"] + "\n"


def test_logprobs(belle: Belle, model: Path) -> None:
    done = belle("generate", model, QUESTION, "--json", "--logprobs", "3", "--seed", "5", "--max-tokens", "6")
    report = json.loads(done.stdout)
    assert [token["token_id"] for token in report["logprobs"]] == report["token_ids"]
    for token in report["logprobs"]:
        assert [entry["logprob"] for entry in token["top"]] == sorted(
            (entry["logprob"] for entry in token["top"]), reverse=True
        )
        assert len(token["top"]) == 3
        assert token["logprob"] <= token["top"][0]["logprob"] <= 0
    assert "--json" in belle("generate", model, QUESTION, "--logprobs", "3").stderr


@pytest.mark.slow
def test_many_prompts(belle: Belle, model: Path, tmp_path: Path) -> None:
    """--lines and --jsonl give what each prompt gives alone, in order, more of them than one batch takes."""
    prompts = [f"{number}加{number}等于多少？" for number in range(70)]
    options = ("--json", "--temperature", "0", "--max-tokens", "4")
    done = belle("generate", model, "--lines", *options, text="\n\n".join(prompts) + "\n")
    texts = [json.loads(line)["text"] for line in done.stdout.splitlines()]
    with Model.load(model) as loaded:
        assert texts == [loaded.generate(prompt, temperature=0, max_tokens=4).text for prompt in prompts]
    file = tmp_path / "prompts.jsonl"
    lines = [json.dumps({"prompt": prompt, "id": 5}) for prompt in prompts[:2]] + [json.dumps(prompts[2])]
    file.write_text("\n".join(lines), encoding="utf-8")
    from_file = belle("generate", model, "--jsonl", "--file", file, *options)
    assert [json.loads(line)["text"] for line in from_file.stdout.splitlines()] == texts[:3]
    plain = belle("generate", model, "--lines", *options[1:], text="\n".join(prompts[:2]))
    assert plain.stdout == "".join(f"{text}\n" for text in texts[:2])


@pytest.mark.slow
def test_many_prompts_and_a_seed(belle: Belle, model: Path) -> None:
    options = ("--json", "--max-tokens", "6", "--temperature", "2")
    done = belle("generate", model, "--lines", "--seed", "7", *options, text="\n".join([QUESTION] * 66))
    texts = [json.loads(line)["text"] for line in done.stdout.splitlines()]
    assert len(texts) == 66
    assert texts[0] != texts[64]  # every prompt has a seed of its own
    alone = belle("generate", model, QUESTION, "--seed", str(7 + 65), *options)
    assert json.loads(alone.stdout)["text"] == texts[65]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: not JSON"),
        ("[" * 100_000, "line 2: not JSON"),
        ("[" * 500 + "]" * 500, "line 2: not JSON: expected at most 127 levels"),
        ('{"text": "x"}', "line 2: expected a text"),
        ("5", "line 2: expected a text"),
    ],
)
def test_jsonl_that_is_wrong(belle: Belle, model: Path, line: str, message: str) -> None:
    done = belle("generate", model, "--jsonl", "--seed", "1", text=f'"x"\n{line}\n')
    alone = belle("generate", model, "--jsonl", "--seed", "1", text='"x"\n')
    assert (done.returncode, done.stdout) == (1, alone.stdout + "\n")  # the first is answered
    assert message in done.stderr


@pytest.mark.slow
def test_raw_stop_and_verbose(belle: Belle, model: Path) -> None:
    prompt = f"Human: {QUESTION}\n\nAssistant:"
    raw = belle("generate", model, prompt, "--raw", "--temperature", "0", "--verbose")
    assert raw.stdout == belle("generate", model, QUESTION, "--temperature", "0").stdout
    assert "tokens/s" in raw.stderr
    stopped = belle("generate", model, prompt, "--raw", "--temperature", "0", "--stop", raw.stdout[2])
    assert stopped.stdout == raw.stdout[: raw.stdout.index(raw.stdout[2])] + "\n"


@pytest.mark.slow
def test_the_other_backend(belle: Belle, converted: Converted) -> None:
    pytest.importorskip("llama_cpp")
    path = converted("bloom", "f32")
    options = (QUESTION, "--temperature", "0", "--max-tokens", "12", "--quiet")
    other = belle("generate", path, *options, "--backend", "llama.cpp")
    assert other.returncode == 0, other.stderr
    assert other.stdout == belle("generate", path, *options).stdout


@pytest.mark.slow
def test_pipes_are_utf8_whatever_the_locale(belle: Belle, model: Path) -> None:
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "latin-1"}
    done = belle("generate", model, "--temperature", "0", "--max-tokens", "8", text=QUESTION, **locale)
    assert done.returncode == 0
    expected = belle("generate", model, QUESTION, "--temperature", "0", "--max-tokens", "8")
    assert done.stdout == expected.stdout


def test_input_that_is_not_utf8(belle: Belle, model: Path, tmp_path: Path) -> None:
    prompt = tmp_path / "prompt.txt"
    prompt.write_bytes(QUESTION.encode("gbk"))
    assert "not UTF-8" in belle("generate", model, "--file", prompt).stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals work differently on Windows")
def test_ctrl_c_stops_it(command: list[str], converted: Converted) -> None:
    arguments = [str(converted("large", "f32")), "Once", "--raw", "--temperature", "0"]
    process = subprocess.Popen(
        [*command, "generate", *arguments, "--max-tokens", "1500"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=180)
    assert process.returncode == 130
    assert b"Traceback" not in errors


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no such pipes on Windows")
@pytest.mark.parametrize("name", ["generate", "chat"])
def test_a_reader_that_leaves(command: list[str], converted: Converted, model: Path, name: str) -> None:
    arguments = [str(model), "--quiet"]
    if name == "generate":  # an answer that does not end before the reader leaves
        arguments = [str(converted("large", "f32")), "Once", "--raw", "--max-tokens", "1500"]
    process = subprocess.Popen(
        [*command, name, *arguments, "--seed", "1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(f"{QUESTION}\n".encode() * 50)
    process.stdin.close()
    assert process.stdout.read(1)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(timeout=180) == 1

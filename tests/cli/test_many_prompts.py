"""`generate --lines` and `--jsonl`: records in order, errors among them, settings of each line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from belle_edge import Belle as Model
from belle_edge.cli.prompt_lines import prompt_lines
from belle_edge.generation.answer import Answer
from belle_edge.generation.batch import stream_batch
from belle_edge.generation.streams import unwritten

Belle = Callable[..., Any]
QUESTION = "你是谁？"
LONG = "北京" * 3000


def lines(content: bytes, *, jsonl: bool = True, encoding: str | None = None) -> list[Any]:
    return list(prompt_lines(content, jsonl=jsonl, encoding=encoding, where="x"))


@pytest.mark.slow
def test_a_bad_line_is_a_record_and_the_others_are_answered(belle: Belle, model: Path) -> None:
    objects: list[Any] = [
        {"prompt": QUESTION, "id": "a", "max_tokens": 3},
        {"prompt": LONG, "id": ["b"]},
        QUESTION,
        {"prompt": QUESTION, "temprature": 0},
        {"prompt": QUESTION, "temperature": -1, "topic": "x"},
        {"prompt": QUESTION, "raw": True, "seed": 3, "temperature": 1.5, "stop": "。", "max_tokens": 5},
    ]
    text = "\n\n".join(json.dumps(entry) for entry in objects).encode() + b"\n\xff\n{\n"
    done = belle(
        "generate",
        model,
        "--jsonl",
        "--json",
        "--temperature",
        "0",
        "--max-tokens",
        "6",
        text=text.decode("latin-1"),
    )
    assert done.returncode == 1
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["line"] for record in records] == [1, 3, 5, 7, 9, 11, 12, 13]
    assert [record.get("id") for record in records[:2]] == ["a", ["b"]]
    assert ["error" in record for record in records] == [False, True, False, True, True, False, True, True]
    with Model.load(model) as loaded:
        assert records[0]["text"] == loaded.generate(QUESTION, temperature=0, max_tokens=3).text
        assert records[2]["text"] == loaded.generate(QUESTION, temperature=0, max_tokens=6).text
        own = loaded.generate(QUESTION, raw=True, seed=3, temperature=1.5, stop=["。"], max_tokens=5)
        assert records[5]["text"] == own.text
    for number, message in ((1, "context"), (3, 'did you mean "temperature"'), (4, "temperature: expected")):
        assert message in records[number]["error"]
    assert records[4]["topic"] == "x"
    assert done.stderr == "belle-edge: error: 5 of 8 lines were refused\n"


def test_a_line_in_another_encoding(belle: Belle, model: Path, tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_bytes(QUESTION.encode() + b"\n" + QUESTION.encode("gbk") + b"\n" + QUESTION.encode())
    done = belle("generate", model, "--lines", "--file", file, "--temperature", "0", "--max-tokens", "3")
    first, second, third = done.stdout.splitlines()
    assert (done.returncode, second, first) == (1, "", third)
    assert "line 2: the line is not UTF-8" in done.stderr
    assert "--encoding gb18030" in done.stderr


def test_settings_of_the_command_are_its_own_error(belle: Belle, model: Path) -> None:
    done = belle("generate", model, "--lines", "--top-p", "7", text="a\nb\n")
    assert (done.returncode, done.stdout) == (1, "")
    assert "--top-p" in done.stderr
    assert done.stderr.count("\n") == 1


def test_lines_of_every_encoding() -> None:
    text = "甲\n\n乙"
    for encoding in ("gbk", "utf-16", "utf-16-le", "utf-8"):
        found = lines(text.encode(encoding), jsonl=False, encoding=encoding)
        assert [(line.number, line.prompt) for line in found] == [(1, "甲"), (3, "乙")]
    marked = lines("\ufeff甲\r\n\ufeff乙".encode(), jsonl=False)
    assert [line.prompt for line in marked] == ["甲", "乙"]
    assert [line.prompt for line in lines("甲\n".encode("utf-16"), jsonl=False)] == ["甲"]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"messages": []}, "one prompt per line"),
        ({"prompt": "x", "max_new_tokens": 3}, 'did you mean "max_tokens"'),
        ({"prompt": "x", "n_predict": 3}, 'did you mean "max_tokens"'),
        ({"prompt": "x", "repeat_penalty": 3}, 'did you mean "repetition_penalty"'),
        ({"prompt": "x", "do_sample": False}, "do_sample"),
        ({"prompt": "x", "text": "y"}, "rename it"),
        ({"prompt": "x", "raw": 1}, "true or false"),
    ],
)
def test_fields_that_are_refused_by_name(entry: Any, message: str) -> None:
    (line,) = lines(json.dumps(entry).encode())
    assert message in line.error


def test_results_come_as_they_finish(model: Path) -> None:
    """The shorter answers first, a refused prompt at once, prompts taken only as there is room; each as alone."""
    taken: list[int] = []
    lengths = [9, 2, 4, 1, 3]
    with Model.load(model) as loaded:

        def answers() -> Iterator[Answer | Exception]:
            for index, length in enumerate(lengths):
                taken.append(index)
                stream = loaded.stream(QUESTION, temperature=0, max_tokens=length)
                yield ValueError("no") if index == 2 else unwritten(stream)

        results = stream_batch(loaded.scheduler, answers(), max_batch=2)
        first = next(results)
        assert first[0] == 1
        assert taken == [0, 1]
        rest = dict(results)
        assert list(rest) == [2, 3, 4, 0]
        assert str(rest[2]) == "no"
        for index in (0, 3, 4):
            alone = loaded.generate(QUESTION, temperature=0, max_tokens=lengths[index])
            assert rest[index].token_ids == alone.token_ids  # type: ignore[union-attr]


def test_an_answer_is_written_before_the_last_one_is_begun(command: list[str], model: Path) -> None:
    prompts = [{"prompt": QUESTION, "max_tokens": 1}, *[{"prompt": QUESTION, "max_tokens": 200}] * 200]
    process = subprocess.Popen(
        [*command, "generate", str(model), "--jsonl", "--temperature", "2", "--seed", "1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ},
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n".join(map(json.dumps, prompts)).encode())
        process.stdin.close()
        assert process.stdout.readline()
        assert process.poll() is None  # 199 answers of 200 tokens are still to come
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()  # type: ignore[union-attr]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_progress_on_a_terminal_only(command: list[str], belle: Belle, model: Path, tmp_path: Path) -> None:
    from .pseudo_terminal import Terminal

    file = tmp_path / "prompts.txt"
    file.write_text(f"{QUESTION}\n" * 3, encoding="utf-8")
    words = [
        "generate",
        str(model),
        "--lines",
        "--file",
        str(file),
        "--temperature",
        "0",
        "--max-tokens",
        "3",
    ]
    terminal = Terminal([*command, *words])
    try:
        terminal.wait_for("2 of 3 lines answered")
    finally:
        terminal.close()
    assert "lines answered" not in belle(*words).stderr

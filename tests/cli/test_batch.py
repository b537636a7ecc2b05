"""`belle-edge batch`: files in and out, bad records, and a job that is killed again and again."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from belle_edge import Belle as Model
from belle_edge.cli.main import main

Belle = Callable[..., Any]
QUESTIONS = ("法国的首都是哪里？", "“高”的反义词是什么？", "12加30等于多少？", "你是谁？")


def answered(*arguments: str | Path) -> int:
    return main(["batch", *map(str, arguments), "--threads", "1"])


def json_lines(path: Path, records: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), "utf-8")
    return path


def test_json_lines_with_bad_ones(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    records: list[Any] = [
        {"id": "a", "prompt": QUESTIONS[0]},
        {"id": "b", "messages": [{"role": "user", "content": QUESTIONS[2]}], "temperature": 0},
        {"prompt": "北京" * 3000, "topic": [1]},
        {"prompt": QUESTIONS[3], "max_tokens": 2},
    ]
    json_lines(source, records).open("a").write("{bad\n")
    assert answered(model, source, "-o", out, "--seed", "4") == 3
    written = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    for record, result in zip(records, written, strict=False):
        assert {name: result[name] for name in record} == record
    assert [record["line"] for record in written] == [1, 2, 3, 4, 5]
    assert ["error" in record for record in written] == [False, False, True, False, True]
    assert "context" in written[2]["error"]
    with Model.load(model, threads=1) as loaded:
        assert written[0]["answer"] == loaded.generate(QUESTIONS[0], seed=4).text
        assert written[1]["answer"] == loaded.generate(QUESTIONS[2], temperature=0).text
        last = loaded.generate(QUESTIONS[3], seed=7, max_tokens=2)
        assert (written[3]["answer"], written[3]["finish_reason"]) == (last.text, "length")
    assert capsys.readouterr().err == "belle-edge: error: 2 of 5 records were refused\n"
    assert not out.with_name("out.jsonl.journal").exists()
    before = out.read_bytes()
    assert answered(model, source, "-o", out) == 1
    assert "exists already" in capsys.readouterr().err
    assert answered(model, source, "-o", out, "--resume") == 0
    assert answered(model, source, "-o", out, "--resume", "--limit", "3") == 1
    assert "out.jsonl has 5 records and the input 3" in capsys.readouterr().err
    assert answered(model, source, "-o", out, "--force", "--seed", "4") == 3
    assert out.read_bytes() == before


def test_a_table(model: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text('id,text\n1,"法国的首都,\n""是""哪里？"\n2\n3,你是谁？\n', "utf-8")
    options = ("--template", "回答：{text}", "--answer-field", "reply", "--max-tokens", "3", "--as-finished")
    assert answered(model, source, "-o", out, *options) == 3
    with out.open(encoding="utf-8", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["id"])
    assert [(row["id"], row["line"]) for row in rows] == [("1", "2"), ("2", "4"), ("3", "5")]
    assert rows[0]["text"] == '法国的首都,\n"是"哪里？'
    assert rows[0]["reply"] != ""
    assert rows[1]["error"] == "expected 2 fields, as in the header, got 1"
    with Model.load(model, threads=1) as loaded:
        assert rows[2]["reply"] == loaded.generate("回答：你是谁？", seed=2, max_tokens=3).text


def test_pipes(belle: Belle, model: Path) -> None:
    done = belle(
        *(
            "batch",
            model,
            "-",
            "--input-format",
            "lines",
            "--limit",
            "2",
            "--temperature",
            "0",
            "--threads",
            "1",
        ),
        text="\n".join(QUESTIONS),
    )
    assert (done.returncode, done.stderr) == (0, "")
    first, second = map(json.loads, done.stdout.splitlines())
    assert (first["text"], first["answer"]) == (QUESTIONS[0], "法国的首都是巴黎。")
    assert second["line"] == 2


def test_fail_fast_and_settings_that_are_none(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = (
        json_lines(tmp_path / "in.jsonl", [{"prompt": QUESTIONS[0]}, {"id": 1}]),
        tmp_path / "out.jsonl",
    )
    assert answered(model, source, "-o", out, "--fail-fast", "--max-tokens", "3") == 1
    assert "line 2: expected one of the fields" in capsys.readouterr().err
    json_lines(source, [{"prompt": QUESTIONS[0]}, {"prompt": QUESTIONS[1]}])
    assert answered(model, source, "-o", out, "--max-tokens", "4") == 1
    assert "something else under settings.max_tokens" in capsys.readouterr().err
    assert answered(model, source, "-o", out, "--fail-fast", "--max-tokens", "3") == 0
    assert len(out.read_text("utf-8").splitlines()) == 2
    for wrong in (("--resume",), ("-o", out, "--resume", "--force"), ("--limit", "0"), ("--template", "x")):
        assert answered(model, source, *wrong) == 1


@pytest.mark.slow
@pytest.mark.parametrize("order", [(), ("--as-finished",)])
def test_killed_again_and_again(
    command: list[str], model: Path, tmp_path: Path, order: tuple[str, ...]
) -> None:
    records = [{"id": index, "prompt": QUESTIONS[index % 4], "temperature": 1.2} for index in range(600)]
    records[7] = {"id": 7}
    source = json_lines(tmp_path / "in.jsonl", records)
    undisturbed, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    assert answered(model, source, "-o", undisturbed) == 3
    words = [*command, "batch", str(model), str(source), "-o", str(out), "--threads", "1", *order]
    n_kills = 0
    for n_lines in (1, 90, 200, 320, 430, 1 << 30):
        process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            if _n_lines(out) >= n_lines:
                os.kill(process.pid, signal.SIGKILL)
                n_kills += process.wait() == -signal.SIGKILL
                break
            time.sleep(0.001)
    assert n_kills >= 3
    assert process.returncode == 3
    lines = out.read_bytes().splitlines(keepends=True)
    expected = undisturbed.read_bytes().splitlines(keepends=True)
    assert (sorted(lines) if order else lines) == (sorted(expected) if order else expected)


def _n_lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_openai_s_requests(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def request(name: str, url: str, **body: Any) -> dict[str, Any]:
        return {"custom_id": name, "method": "POST", "url": f"/v1/{url}", "body": body}

    asked = [{"role": "user", "content": QUESTIONS[0]}]
    requests = [
        request("a", "chat/completions", messages=asked, temperature=0),
        request("b", "completions", prompt=QUESTIONS[0], max_tokens=2, seed=9, temperature=1),
        request("c", "chat/completions", messages=asked, n=2),
        {},
    ]
    source, out = json_lines(tmp_path / "in.jsonl", requests), tmp_path / "out.jsonl"
    assert answered(model, source, "-o", out) == 3
    told = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [line["custom_id"] for line in told] == ["a", "b", "c", None]
    assert [line["response"] and line["response"]["status_code"] for line in told] == [200, 200, 400, None]
    assert told[0]["response"]["body"]["choices"][0]["message"]["content"] == "法国的首都是巴黎。"
    with Model.load(model, threads=1) as loaded:
        own = loaded.generate(QUESTIONS[0], raw=True, max_tokens=2, seed=9, temperature=1)
    assert told[1]["response"]["body"]["choices"][0]["text"] == own.text
    assert "n: not offered" in told[2]["response"]["body"]["error"]["message"]
    assert told[3]["error"]["message"].startswith("line 4: expected custom_id")
    assert answered(model, source, "-o", tmp_path / "out.csv") == 1
    assert "into JSON lines" in capsys.readouterr().err


def test_a_dry_run(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prompts = [QUESTIONS[index % 4] for index in range(40)]
    records = [{"prompt": prompt, "max_tokens": 5 + index} for index, prompt in enumerate(prompts)]
    source = json_lines(tmp_path / "in.jsonl", [*records, {"id": 1}])
    out = tmp_path / "out.jsonl"
    out.write_text("kept", "utf-8")
    assert answered(model, source, "-o", out, "--dry-run") == 3
    said = capsys.readouterr()
    lines = said.out.splitlines()
    with Model.load(model, threads=1) as loaded:
        n_tokens = sum(loaded.generate(prompt, max_tokens=1).prompt_tokens for prompt in prompts)
    assert lines[0] == "41 records, 1 of them refused"
    assert lines[1] == f"{n_tokens} tokens in prompts, at most {sum(range(5, 45))} in answers"
    assert [line.split()[:2] for line in lines[2:]] == [["about", "0"], ["at", "most"]]
    assert "line 41: expected one of the fields" in said.err
    assert out.read_text("utf-8") == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]

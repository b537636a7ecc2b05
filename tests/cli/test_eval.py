"""`belle-edge eval`: its table and JSON, which file belongs to which task, and a kill in the midst of it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lm_eval")

from belle_edge.cli.eval import choices
from belle_edge.cli.main import main
from belle_edge.quality.evaluation.offline import SWITCHES


@pytest.fixture(autouse=True)
def _online_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command switches its process offline, which here is that of the tests."""
    import huggingface_hub.constants  # noqa: F401  reads the environment once

    for name in (*SWITCHES, "HF_DATASETS_CACHE", "HF_EVALUATE_CACHE"):
        monkeypatch.setenv(name, "0")
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def demo(converted: Callable[[str, str], Path]) -> Path:
    return converted("bloom", "q4_0")


def evaluated(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """(exit code, standard output, standard error)"""
    code = main(["eval", *map(str, arguments), "--threads", "1"])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_table(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said, problems = evaluated(capsys, demo, "--task", "translation,question-answering", "--limit", "3")
    assert (code, problems) == (0, "")
    lines = said.splitlines()
    assert lines[0].startswith(f"{demo.name}   native, ")
    assert lines[1].split() == [
        *("value", "95%", "interval", "n", "BELLE-7B", "(2M)", "BELLE-LLaMA-7B", "(2M)", "base")
    ]
    assert "translation (translation.jsonl)" in lines
    assert "question-answering (question_answering.jsonl)" in lines
    assert next(line for line in lines if line.startswith("  F1 ")).endswith(
        "64.2                 62.8  56.1"
    )


def test_json_is_all_there_is_on_standard_output(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said, problems = evaluated(capsys, demo, "--task", "translation", "--limit", "2", "--json")
    report: dict[str, Any] = json.loads(said)
    assert (code, problems) == (0, "")
    assert report["tasks"][0]["n"] == 2
    assert report["model"]["name"] == demo.name


def test_bad_data_are_one_line_with_their_place(
    demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "mine.jsonl"
    data.write_text('{"text": "a", "summary": "b"}\n{"text": "a"}\n', encoding="utf-8")
    code, said, problems = evaluated(capsys, demo, "--task", "summarization", "--data", data)
    assert (code, said) == (1, "")
    assert problems == (
        f'belle-edge: error: [{data}] line 2: expected the field "summary" or "abstract", found \'text\'\n'
    )


def test_a_file_belongs_to_one_task() -> None:
    alone = choices(["translation"], ["a=b.jsonl"])
    assert [(task.name, task.data) for task in alone] == [("translation", Path("a=b.jsonl"))]
    several = choices(["translation,summarization", "mmlu"], ["summarization=s.jsonl", "translation=t.jsonl"])
    assert [task.data for task in several] == [Path("t.jsonl"), Path("s.jsonl"), None]
    for data, problem in (
        (["x.jsonl"], "write NAME=x.jsonl, where NAME is one of translation, summarization"),
        (["eval-set=x.jsonl"], "eval-set is not among the tasks"),
        (["translation=x", "translation=y"], "translation has a file already"),
    ):
        with pytest.raises(ValueError, match=problem):
            choices(["translation", "summarization"], data)


@pytest.mark.slow
def test_a_killed_evaluation_goes_on(
    demo: Path, command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = tmp_path / "sums.jsonl", tmp_path / "out"
    rows = (
        {"question": f"{a}加{b}等于多少？", "answers": str(a + b)}
        for a in range(10, 40)
        for b in range(10, 20)
    )
    data.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    words = [str(demo), "--task", "question-answering", "--data", str(data), "-o", str(out)]
    process = subprocess.Popen([*command, "eval", *words, "--threads", "1"], env=dict(os.environ))
    journal = out / "answers.jsonl"
    while process.poll() is None and not (journal.is_file() and journal.read_bytes().count(b"\n") > 10):
        time.sleep(0.01)
    process.kill()
    process.wait()
    written = [line for line in journal.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    assert 10 < len(written) < 301
    code, said, problems = evaluated(capsys, *words, "--resume", "--json")
    assert (code, problems) == (0, "")
    assert json.loads(said)["tasks"][0]["n"] == 300
    lines = journal.read_bytes().splitlines(keepends=True)
    assert lines[: len(written)] == written
    keys = [json.loads(line)["request"] for line in lines[1:]]
    assert len(keys) == len(set(keys)) == 300

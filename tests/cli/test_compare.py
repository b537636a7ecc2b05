"""`belle-edge compare`: its table at any width, JSON, notes, and one line for whatever is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from belle_edge.cli.main import main
from belle_edge.languages.columns import text_cells
from belle_edge.quality.comparison import Comparison

OPTIONS = ("--max-tokens", "900", "--answers", "6", "--worst", "2", "--threads", "1")


def compared(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """(exit code, standard output, standard error)"""
    code = main(["compare", *map(str, arguments)])
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.fixture(scope="module")
def original(converted: Callable[[str, str], Path]) -> Path:
    return converted("bloom", "f32")


@pytest.fixture(scope="module")
def rounded(converted: Callable[[str, str], Path]) -> Path:
    return converted("bloom", "q4_0")


@pytest.mark.parametrize("columns", [100, 46])
def test_the_table_fits_its_terminal(
    columns: int,
    original: Path,
    rounded: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    code, said, notes = compared(capsys, original, rounded, *OPTIONS)
    assert code == 0
    assert "texts beyond 900 tokens were left out" in notes
    assert f"reference: {original.name} (f32, " in said
    assert f"\n{rounded.name} (q4_0, " in said
    assert "\nverdict: changed: " in said
    assert "answers change" in said
    lines = said.splitlines()
    table = [line for line in lines if line.startswith(("KL mean", "KL median", "perplexity", "ratio"))]
    assert len(table) == 4 * (1 if columns == 100 else 4)
    assert all(text_cells(line) < columns for line in table)
    assert sum(line.startswith(("1. ", "2. ")) for line in lines) == 2
    assert lines[-1].startswith("answers: ")


def test_json_is_the_result(original: Path, rounded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said, _ = compared(capsys, original, original, rounded, *OPTIONS, "--json")
    assert (code, said.count("\n")) == (0, 1)
    comparison = Comparison.from_json(said)
    assert [one.verdict.level for one in comparison.candidates] == ["identical", "changed"]
    assert comparison.candidates[1].side.name == rounded.name
    again = compared(capsys, original, original, rounded, *OPTIONS, "--json")[1]
    assert again == said
    assert str(rounded.parent) not in said


def test_quiet_and_other_languages(original: Path, rounded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = ("--max-tokens", "300", "--answers", "0", "--threads", "1")
    assert compared(capsys, original, rounded, *short, "--quiet") == (0, "", "")
    try:
        assert "\n结论：" in compared(capsys, original, rounded, *short, "--language", "zh")[1]
        assert "\nveredicto: " in compared(capsys, original, rounded, *short, "--language", "es")[1]
    finally:
        compared(capsys, original, rounded, *short, "--quiet", "--language", "en")


def test_data_of_ones_own(
    original: Path, rounded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(
        json.dumps({"instruction": "你是谁？", "output": "我是一个模型。"}) + "\n", encoding="utf-8"
    )
    code, said, _ = compared(capsys, original, rounded, "--data", f"wen={path}", *OPTIONS)
    assert code == 0
    assert "texts: wen 1 text, " in said
    path.write_text('{"text": "a text"}\n{"output": 1}\n', encoding="utf-8")
    code, said, problem = compared(capsys, original, rounded, "--data", path, *OPTIONS)
    assert (code, said) == (1, "")
    assert problem.startswith(f"belle-edge: error: [{path}] line 2: expected ")
    assert problem.count("\n") == 1


def test_a_page(original: Path, rounded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    options = ("--max-tokens", "300", "--answers", "4", "--quiet", "--html", page)
    assert compared(capsys, original, rounded, *options) == (0, "", "")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert rounded.name in text
    assert str(rounded.parent) not in text
    code, _, problem = compared(capsys, original, rounded, *options)
    assert code == 1
    assert str(page) in problem
    assert '<html lang="en">' in text
    assert compared(capsys, original, rounded, *options, "--force", "--language", "es")[0] == 0
    assert '<html lang="es">' in page.read_text(encoding="utf-8")


def test_settings_of_checkpoints_are_refused_for_a_file(
    original: Path, rounded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, problem = compared(capsys, original, rounded, "--revision", "main")
    assert code == 1
    assert "a file has no revisions" in problem


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--max-tokens", "1"), "--max-tokens: expected an integer from 2, got 1"),
        (("--answers", "-1"), "--answers: expected an integer from 0 to 1024, got -1"),
        (("--data", "nowhere.txt"), "[nowhere.txt] no such file"),
    ],
)
def test_settings_out_of_range(
    arguments: tuple[str, ...],
    message: str,
    original: Path,
    rounded: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, _, problem = compared(capsys, original, rounded, *arguments)
    assert code == 1
    assert message in problem


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
def test_an_interruption_ends_it_cleanly(
    checkpoint: Callable[[str], Path], converted: Callable[[str, str], Path]
) -> None:
    words = [checkpoint("large"), converted("large", "q4_0"), "--threads", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "belle_edge", "compare", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=os.environ | {"BELLE_LANGUAGE": "en"},
    )
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    said, problem = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said == ""
    assert "Traceback" not in problem

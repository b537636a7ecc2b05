"""The command line in three languages: help, errors, and how the language is chosen."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from belle_edge.cli.chat_commands import help_text
from belle_edge.cli.main import _COMMANDS
from belle_edge.demo import checkpoint_path
from belle_edge.languages import LANGUAGES, use_language
from belle_edge.languages.columns import text_cells

from .conftest import Run

COMMANDS = [module.__name__.rsplit(".", 1)[1] for module in _COMMANDS]
NOT_THERE = {
    "en": "belle-edge: error: [model] no such file: none.gguf\n",
    "zh": "belle-edge: 错误：[model] 没有这个文件：none.gguf\n",
    "es": "belle-edge: error: [model] no existe el archivo: none.gguf\n",
}
ENGLISH_SENTENCE = re.compile(
    r"\b(?:the|with|from|which|and|this|that) [a-z]+\b|\b(?:default|show|write|read):? [a-z]+"
)
QUOTED = re.compile(r"`[^`]*`|'[^']*'|^ {2,}\S.*completion .*$|\([A-Z]\w+, \w+\)", re.MULTILINE)


@pytest.mark.parametrize("language", ["zh", "en", "es"])
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_into_the_terminal(command: str, language: str, run: Run) -> None:
    for columns in (60, 80, 120):
        text = run(*filter(None, [command]), "--help", columns=columns, BELLE_LANGUAGE=language)
        assert len(text.splitlines()) > 5
        for line in text.splitlines():
            has_choices = re.search(
                r"\{[\w.-]+(,[\w.-]+)+\}", line
            )  # {one,another}: argparse never breaks them
            assert text_cells(line) <= columns or has_choices, (columns, line)


@pytest.mark.parametrize("language", ["zh", "es"])
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_in_one_language(command: str, language: str, run: Run) -> None:
    text = run(*filter(None, [command]), "--help", columns=400, BELLE_LANGUAGE=language)
    assert text.startswith({"zh": "用法：", "es": "uso: "}[language])
    for line in QUOTED.sub("", text).splitlines():
        assert not ENGLISH_SENTENCE.search(line), line
        described = re.search(r"\S {2,}(\S.*)$", line)
        if language == "zh" and described and len(described[1].split()) > 3:
            assert re.search("[一-鿿]", described[1]), line


@pytest.mark.parametrize(
    ("variables", "words", "language"),
    [
        ({"BELLE_LANGUAGE": "zh"}, (), "zh"),
        ({"BELLE_LANGUAGE": "zh"}, ("--language", "es"), "es"),
        ({"LANG": "es_AR.UTF-8"}, (), "es"),
        ({"LANG": "es_AR.UTF-8"}, ("--language=en",), "en"),
        ({"LC_ALL": "zh_TW.UTF-8", "LANG": "en_US.UTF-8"}, (), "zh"),
        ({"LANG": "C", "LANGUAGE": "zh"}, (), "en"),
        ({"LANG": "xx_YY.UTF-8"}, (), "en"),
        ({"LANG": "C.UTF-8", "LANGUAGE": "zh:es"}, (), "zh"),
    ],
)
def test_the_language_that_is_chosen(
    variables: dict[str, str], words: tuple[str, ...], language: str, run: Run
) -> None:
    assert run("info", "none.gguf", *words, **variables) == NOT_THERE[language]
    assert run(*words, "info", "none.gguf", **variables) == NOT_THERE[language]


@pytest.mark.parametrize(
    ("language", "texts"),
    [
        (
            "en",
            (
                "unknown option --temprature: did you mean --temperature? See",
                "not a GGUF file: it is empty (0 bytes); download or convert it again",
                "--max-tokens: expected an integer from 1, got 0",
            ),
        ),
        (
            "zh",
            (
                "未知选项 --temprature：是否指 --temperature？参见",
                "不是 GGUF 文件：它是空的（0 字节）；请重新下载或转换",
                "--max-tokens：应为整数（从 1 起），实为 0",
            ),
        ),
        (
            "es",
            (
                "opción desconocida --temprature: ¿quiso decir --temperature? Véase",
                "no es un archivo GGUF: está vacío (0 bytes); descárguelo o conviértalo de nuevo",
                "--max-tokens: se esperaba un entero desde 1, se encontró 0",
            ),
        ),
    ],
)
def test_errors_of_three_kinds(language: str, texts: tuple[str, ...], run: Run, tmp_path: Path) -> None:
    """Of the usage, of the engine in C++, of the library about a setting."""
    empty = tmp_path / "empty.gguf"
    empty.touch()
    usage, damage, setting = texts
    assert usage in run("generate", "x.gguf", "hi", "--temprature", "3", BELLE_LANGUAGE=language)
    assert damage in run("generate", str(empty), "hi", BELLE_LANGUAGE=language)
    words = ("generate", "--language", language, "--max-tokens", "0", "--raw")
    assert setting in run(*words, _model(tmp_path), "hi")


def _model(folder: Path) -> str:
    from belle_edge.convert import convert

    path = folder / "demo.gguf"
    convert(checkpoint_path(), path, type="q8_0", family="belle")
    return str(path)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", [40, 60, 100])
def test_the_help_of_a_chat_fits(width: int, language: str, run: Run) -> None:
    use_language(language)
    lines = help_text(width).splitlines()
    assert max(map(text_cells, lines)) <= width
    assert any("/set NAME VALUE" in line for line in lines)


def test_refused_lines_are_told_in_the_language(run: Run, tmp_path: Path) -> None:
    words = ("generate", _model(tmp_path), "很长" * 900 + "\n好", "--lines", "--max-tokens", "2")
    assert "第 1 行：文本超过 256 个词元" in run(*words, BELLE_LANGUAGE="zh")


def test_json_is_the_same_in_every_language(run: Run) -> None:
    reports = [
        run("identify", str(checkpoint_path()), "--json", BELLE_LANGUAGE=name) for name in ("en", "zh", "es")
    ]
    assert json.loads(reports[0])["families"]
    assert reports[0] == reports[1] == reports[2]
    shown = run("identify", str(checkpoint_path()), BELLE_LANGUAGE="zh")
    assert "依据" in shown
    assert "evidence" not in shown


def test_an_unknown_language_is_wrong_usage(run: Run) -> None:
    assert "--language: expected one of zh, en, es, got 'fr'" in run("info", "--language", "fr")


@pytest.mark.slow
def test_a_process_in_a_locale_that_the_system_does_not_have(tmp_path: Path) -> None:
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LC_", "LANG", "BELLE_LANG"))
    }
    done = subprocess.run(
        [sys.executable, "-m", "belle_edge", "info", "none.gguf"],
        env={**own, "LC_ALL": "zh_QQ.GB18030"},
        capture_output=True,
        cwd=tmp_path,
    )
    assert done.stderr.decode("utf-8") == NOT_THERE["zh"].replace("\n", os.linesep)
    assert done.returncode == 1

"""The plugin of `llm`, through that command and through `llm`'s Python interface, on the demonstration model."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("llm", reason="needs llm")
import llm
import sqlite_utils
from click.testing import CliRunner, Result
from llm.cli import cli
from llm.migrations import migrate

from belle_edge import Belle
from belle_edge.integrations import llm_plugin

from ..installed_metadata import add_entry_points

ROOT = Path(__file__).resolve().parents[2]
NAME = "belle-edge"  # of the entry point
SCHEMA = {
    "type": "object",
    "properties": {"answer": {"enum": ["是", "否"]}},
    "required": ["answer"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def user_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of `llm`'s user with an empty log: making one takes longer than all answers here."""
    folder = tmp_path_factory.mktemp("llm")
    migrate(sqlite_utils.Database(folder / "logs.db"))
    return folder


@pytest.fixture(autouse=True)
def _folders(demo: Path, user_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of `llm`'s user, and a models folder with one model."""
    models = tmp_path / "data" / "models"
    models.mkdir(parents=True)
    shutil.copy(demo, models / "small.gguf")
    shutil.copytree(user_folder, tmp_path / "llm")
    monkeypatch.setenv("LLM_USER_PATH", str(tmp_path / "llm"))
    monkeypatch.setenv("BELLE_DATA", str(tmp_path / "data"))
    llm.get_plugins()  # what is installed is registered now
    if not llm.plugins.pm.has_plugin(NAME):
        llm.plugins.pm.register(llm_plugin, name=NAME)


@pytest.fixture
def run() -> Callable[..., Result]:
    def call(*words: str, fails: bool = False, typed: str | None = None) -> Result:
        done = CliRunner().invoke(cli, list(words), input=typed)
        assert (done.exit_code != 0) == fails, done.output
        return done

    return call


def asked(belle: Belle, text: str, **settings: object) -> str:
    messages = [{"role": "user", "content": text}]
    return belle.chat(messages, **{"temperature": 0, **settings}).text  # type: ignore[arg-type]


def test_a_file_of_the_models_folder(run: Callable[..., Result], belle: Belle) -> None:
    assert "BelleModel: belle/small\n" in run("models").output
    done = run("-m", "belle/small", "-o", "temperature", "0", "-u", "你好")
    generation = belle.chat([{"role": "user", "content": "你好"}], temperature=0)
    assert done.stdout == f"{generation.text}\n"
    counts = f"{generation.prompt_tokens} input, {generation.completion_tokens} output"
    assert counts in done.stderr
    whole = run("-m", "belle/small", "-o", "temperature", "0", "--no-stream", "你好")
    assert whole.stdout == done.stdout


def test_a_conversation_goes_on(run: Callable[..., Result], belle: Belle) -> None:
    first = run("-m", "belle/small", "-o", "temperature", "0", "-s", "简短回答。", "你好").stdout.rstrip("\n")
    second = run("-c", "-o", "temperature", "0", "再见").stdout.rstrip("\n")
    messages = [
        {"role": "system", "content": "简短回答。"},
        {"role": "user", "content": "你好"},
        {"role": "assistant", "content": first},
        {"role": "user", "content": "再见"},
    ]
    assert second == belle.chat(messages, temperature=0).text
    chat = run("chat", "-m", "belle/small", "-o", "temperature", "0", typed="你好\nquit\n").stdout
    assert asked(belle, "你好") in chat


def test_a_file_that_an_option_names(run: Callable[..., Result], belle: Belle, demo: Path) -> None:
    settings = ("-o", "temperature", "0", "-o", "max_tokens", "4", "-o", "threads", "1")
    expected = asked(belle, "你好", max_tokens=4)
    done = run("-m", "belle", "-o", "path", str(demo), *settings, "你好")
    assert done.stdout == f"{expected}\n"
    assert "which file? -o path FILE.gguf" in run("-m", "belle", *settings, "你好", fails=True).stderr
    run("models", "options", "set", "belle", "path", str(demo))
    run("aliases", "set", "b", "belle")
    assert run("-m", "b", *settings, "你好").stdout == done.stdout


def test_a_schema(run: Callable[..., Result]) -> None:
    done = run("-m", "belle/small", "-o", "temperature", "0", "--schema", json.dumps(SCHEMA), "天是蓝的吗？")
    assert json.loads(done.stdout)["answer"] in ("是", "否")
    cut = run(
        "-m",
        "belle/small",
        "-o",
        "max_tokens",
        "2",
        "--schema",
        json.dumps(SCHEMA),
        "天是蓝的吗？",
        fails=True,
    )
    assert "in the middle of its schema" in cut.stderr


def test_what_is_wrong_is_said(run: Callable[..., Result], tmp_path: Path) -> None:
    assert "temperatur\n" in run("-m", "belle/small", "-o", "temperatur", "0", "你好", fails=True).stderr
    assert "no such file" in run("-m", "belle", "-o", "path", "no.gguf", "你好", fails=True).stderr
    picture = tmp_path / "a.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n")
    assert "attachment" in run("-m", "belle/small", "-a", str(picture), "你好", fails=True).stderr
    assert "context" in run("-m", "belle/small", "问题" * 1000, fails=True).stderr


def test_in_python(belle: Belle) -> None:
    conversation = llm.get_model("belle/small").conversation()
    question = "“高”的反义词是什么？" * 10
    first = conversation.prompt(question, temperature=0)
    assert "".join(first) == asked(belle, question)
    second = conversation.prompt("再见", temperature=0)
    messages = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": first.text()},
        {"role": "user", "content": "再见"},
    ]
    generation = belle.chat(messages, temperature=0)
    assert second.text() == generation.text
    assert second.usage().input == generation.prompt_tokens
    assert second.response_json["prefilled_tokens"] < generation.prompt_tokens  # the rest is the first turn's


@pytest.mark.parametrize("stream", [True, False])
def test_asynchronously(belle: Belle, stream: bool) -> None:
    async def ask() -> tuple[list[str], int]:
        response = llm.get_async_model("belle/small").prompt("你好", temperature=0, stream=stream)
        pieces = [piece async for piece in response]
        return pieces, (await response.usage()).output

    pieces, n_tokens = asyncio.run(ask())
    assert "".join(pieces) == asked(belle, "你好")
    assert (len(pieces) > 1) == stream
    assert n_tokens == belle.chat([{"role": "user", "content": "你好"}], temperature=0).completion_tokens


def test_a_models_folder_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BELLE_DATA", str(tmp_path / "nowhere"))
    names = [entry.model.model_id for entry in llm.get_models_with_aliases()]
    assert [name for name in names if name.startswith("belle")] == ["belle"]


def test_the_command_finds_the_installed_plugin(tmp_path: Path) -> None:
    """By the entry point, as a user's `llm` does. Importing the plugin loads nothing heavy."""
    add_entry_points(tmp_path, "llm")
    code = "import sys, llm; print(llm.get_model('belle/small').model_id, 'belle_edge.model' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout == "belle/small False\n", done.stderr


def test_the_documents_commands(
    run: Callable[..., Result], demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "docs" / "INTEGRATIONS.md").read_text("utf-8")
    lines = re.findall(r"^\$ llm (.*)$", text, re.MULTILINE)
    assert len(lines) > 4
    folder = Path(os.environ["BELLE_DATA"])
    shutil.copy(demo, folder / "belle-7b.gguf")
    monkeypatch.chdir(folder)
    for line in lines:
        run(*shlex.split(line))
    assert "path" in run("models", "options", "show", "belle").output
    assert "日本呢？" in run("logs", "-n", "2").output

"""MODEL as a checkpoint folder: converted once; and how quiet each command can be."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from belle_edge.cli.main import main
from belle_edge.demo import checkpoint_path

Belle = Callable[..., Any]
OPTIONS = ("--temperature", "0", "--max-tokens", "6")


@pytest.mark.slow
def test_a_checkpoint_folder_is_converted_once(belle: Belle, tmp_path: Path) -> None:
    folder, cache = tmp_path / "belle-demo", {"BELLE_CACHE": str(tmp_path)}
    shutil.copytree(checkpoint_path(), folder)
    first = belle("generate", folder, "你好", *OPTIONS, **cache)
    assert first.returncode == 0, first.stderr
    assert "note: converting" in first.stderr
    (file,) = (tmp_path / "converted").glob("*.gguf")
    again = belle("generate", folder, "你好", *OPTIONS, **cache)
    assert again.stdout == first.stdout
    assert "note: converting" not in again.stderr
    plain = belle("generate", file, "你好", *OPTIONS)
    assert plain.stdout == first.stdout
    assert json.loads(belle("info", folder, "--json", **cache).stdout)["file"] == file.name
    chat = belle("chat", folder, "-q", *OPTIONS, text="你好\n", **cache)
    assert (chat.stdout, chat.stderr) == (first.stdout, "")

    content = bytearray(file.read_bytes())  # a damaged entry is made again
    content[-1] ^= 1
    file.write_bytes(content)
    repaired = belle("generate", folder, "你好", *OPTIONS, **cache)
    assert repaired.stdout == first.stdout
    assert "damaged" in repaired.stderr


@pytest.mark.slow
def test_the_type_of_the_conversion(belle: Belle, tmp_path: Path) -> None:
    done = belle("info", checkpoint_path(), "--type", "Q8_0", "--json", "-q", BELLE_CACHE=str(tmp_path))
    assert set(json.loads(done.stdout)["types"]) == {"q8_0", "f32"}
    assert done.stderr == ""


@pytest.mark.parametrize("command", ["generate", "chat", "info"])
def test_names_that_lead_nowhere(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)
    words = ["x"] if command == "generate" else []
    for name, message in (("org/m.gguf", "no such file"), ("nothing", "no such file"), (".", "is a folder")):
        assert main([command, name, *words]) == 1
        printed = capsys.readouterr()
        assert message in printed.err
        assert printed.err.count("\n") == 1


def test_quiet_commands_say_nothing_and_json_is_one_line(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out.gguf")
    convert = ["convert", str(checkpoint_path()), "-o", out, "-f", "--family", "belle"]
    for words in (convert, ["verify", out]):
        assert main([*words, "--quiet"]) == 0
        assert capsys.readouterr() == ("", "")
        assert main([*words, "--json"]) == 0
        printed = capsys.readouterr()
        assert printed.out.count("\n") == 1
        assert isinstance(json.loads(printed.out), dict)
        assert printed.err == ""

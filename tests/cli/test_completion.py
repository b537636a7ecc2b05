"""The completion scripts, in the shells themselves where they are installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Belle = Callable[..., Any]

# Completes the words after "belle-edge" as bash does when Tab is pressed, and prints the candidates.
BASH = """
source "$1"; shift
COMP_WORDS=(belle-edge "$@"); COMP_CWORD=$#
_shtab_belle_edge
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def scripts(belle: Belle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Shell -> the file with its script."""
    folder = tmp_path_factory.mktemp("completion")
    found = {}
    for shell in ("bash", "zsh", "fish"):
        done = belle("completion", shell)
        assert done.returncode == 0
        found[shell] = folder / f"belle-edge.{shell}"
        found[shell].write_text(done.stdout, encoding="utf-8")
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files to be completed."""
    for name in ("a model.gguf", "b.gguf", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "models").mkdir()
    return tmp_path


def run(shell: str, *arguments: str | Path, folder: Path) -> list[str]:
    """The lines a shell prints."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run(
        [shell, *map(str, arguments)], cwd=folder, capture_output=True, encoding="utf-8", timeout=180
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["gen"], ["generate"]),
        (["c"], ["convert", "calibrate", "chat", "compare", "completion"]),
        (["--v"], ["--version"]),
        (["chat", "x.gguf", "--over"], ["--overflow"]),
        (["chat", "x.gguf", "--overflow", ""], ["error", "slide"]),
        (["convert", "--type", "q4"], ["q4_0", "q4_1", "q4_k", "q4_k_m", "q4_k_s"]),
        (["convert", "-t", "q8"], ["q8_0"]),
        (["generate", "x.gguf", "--seed", ""], [""]),  # a number: nothing to propose
        (["completion", ""], ["bash", "fish", "zsh"]),
        (["bench", "--synthetic", "belle-llama"], ["belle-llama-7b", "belle-llama-13b"]),
        (["bench", "b"], ["b.gguf"]),
        (["info", ""], ["a model.gguf", "b.gguf", "models"]),
        (["info", "b"], ["b.gguf"]),
        (["info", "a m"], ["a model.gguf"]),
        (["serve", "b"], ["b.gguf"]),
        (["serve", "b.gguf", "a"], ["a model.gguf"]),
        (["serve", "b.gguf", "--keep"], ["--keep-alive"]),
        (["convert", "mo"], ["models"]),
        (["generate", "b.gguf", "--file", "no"], ["notes.txt"]),
        (["nothing", "--x"], [""]),
    ],
)
def test_bash(scripts: dict[str, Path], folder: Path, words: list[str], expected: list[str]) -> None:
    found = run("bash", "--norc", "-c", BASH, "bash", scripts["bash"], *words, folder=folder)
    assert sorted(found) == sorted(expected)


def test_bash_when_tab_is_pressed(scripts: dict[str, Path], folder: Path) -> None:
    """Through readline, file names quoted as it does."""
    if sys.platform == "win32" or shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    from .pseudo_terminal import Terminal

    terminal = Terminal(["bash", "--norc", "-i"], PS1="ready: ")
    try:
        terminal.wait_for("ready: ")
        terminal.press(f"cd '{folder}'; source '{scripts['bash']}'\r")
        terminal.wait_for("ready: ")
        terminal.press("belle-edge inf\t")
        terminal.wait_for("belle-edge info ")
        terminal.press("a\t")
        terminal.wait_for("a\\ model.gguf ")
    finally:
        terminal.close()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("belle-edge gen", {"generate"}),
        ("belle-edge chat x.gguf --over", {"--overflow"}),
        ("belle-edge chat x.gguf --overflow ", {"error", "slide"}),
        ("belle-edge convert --type q4", {"q4_0", "q4_1", "q4_k", "q4_k_m", "q4_k_s"}),
        ("belle-edge completion ", {"bash", "fish", "zsh"}),
        ("belle-edge generate b.gguf --file no", {"notes.txt"}),
        ("belle-edge info b", {"b.gguf"}),
    ],
)
def test_fish(scripts: dict[str, Path], folder: Path, line: str, expected: set[str]) -> None:
    program = f"source {scripts['fish']}; complete -C '{line}'"
    found = run("fish", "--no-config", "-c", program, folder=folder)
    assert {candidate.split("\t")[0] for candidate in found} == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("belle-edge inf\t", "belle-edge info "),
        ("belle-edge info b\t", "belle-edge info b.gguf "),
        ("belle-edge info a\t", "belle-edge info a\\ model.gguf "),
        ("belle-edge chat b.gguf --over\t", "belle-edge chat b.gguf --overflow "),
        ("belle-edge chat b.gguf --overflow e\t", "belle-edge chat b.gguf --overflow error "),
        ("belle-edge generate b.gguf --file no\t", "belle-edge generate b.gguf --file notes.txt "),
    ],
)
def test_zsh_when_tab_is_pressed(scripts: dict[str, Path], folder: Path, typed: str, shown: str) -> None:
    """The script where `belle-edge completion --help` says that it goes: in a folder of fpath."""
    if sys.platform == "win32" or shutil.which("zsh") is None:
        pytest.skip("zsh is not installed")
    from .pseudo_terminal import Terminal

    functions = folder / "functions"
    functions.mkdir()
    shutil.copy(scripts["zsh"], functions / "_belle-edge")
    terminal = Terminal(["zsh", "-f", "-i"], PS1="ready: ")
    try:
        terminal.wait_for("ready: ")
        terminal.press(f"cd '{folder}'; fpath=({functions} $fpath); autoload -U compinit; compinit -u -D\r")
        terminal.wait_for("ready: ")
        terminal.press(typed)
        terminal.wait_for(shown)
    finally:
        terminal.close()


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_for_a_first_look(scripts: dict[str, Path], folder: Path, shell: str) -> None:
    """As docs/cli/completion.md shows it: eval in the running shell."""
    registered = {
        "bash": "eval \"$(cat '{}')\"; complete -p belle-edge",
        "zsh": "autoload -U compinit && compinit -u -D; eval \"$(cat '{}')\"; print $_comps[belle-edge]",
    }
    options = {"bash": "--norc", "zsh": "-f"}
    found = run(shell, options[shell], "-c", registered[shell].format(scripts[shell]), folder=folder)
    assert found[-1].split()[-1] == {"bash": "belle-edge", "zsh": "_shtab_belle_edge"}[shell]
    assert len(found) == 1

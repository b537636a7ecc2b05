"""Runs the command as a user does: a process with pipes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from belle_edge.convert import convert

if TYPE_CHECKING:
    from .pseudo_terminal import Terminal

COMMAND = [sys.executable, "-m", "belle_edge.cli.main"]


def run_belle(*arguments: str | Path, text: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command with `text` on its standard input, all pipes in UTF-8."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        input=text,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, **environment},
        timeout=120,
    )


@pytest.fixture(scope="session")
def command() -> list[str]:
    """The words that start the command."""
    return list(COMMAND)


@pytest.fixture(scope="session")
def belle() -> Callable[..., subprocess.CompletedProcess[str]]:
    """belle("info", path, text="stdin", NAME="environment") -> the finished process."""
    return run_belle


@pytest.fixture(scope="session")
def model(converted: Callable[[str, str], Path]) -> Path:
    """The bundled BLOOM as q4_0."""
    return converted("bloom", "q4_0")


@pytest.fixture(scope="session")
def research_only(checkpoint: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without the licence that its README states: that of the family counts."""
    folder = tmp_path_factory.mktemp("research")
    shutil.copytree(checkpoint("bloom"), folder / "source", ignore=shutil.ignore_patterns("README.md"))
    convert(folder / "source", folder / "model.gguf", type="q4_0", family="belle")
    return folder / "model.gguf"


@pytest.fixture
def chat(command: list[str], tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """chat(path, "--flag", columns=80, NAME="environment") -> a terminal whose prompt has appeared."""
    from .pseudo_terminal import PROMPT, Terminal

    opened: list[Terminal] = []

    def start(path: Path, *arguments: str, columns: int = 120, **environment: str) -> Terminal:
        words = [*command, "chat", str(path), "--seed", "1", "--max-tokens", "40", *arguments]
        state = {"XDG_STATE_HOME": str(tmp_path / "state")}
        opened.append(Terminal(words, columns=columns, **{**state, **environment}))
        opened[-1].wait_for("\n" + PROMPT if "--quiet" not in arguments else PROMPT)
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()

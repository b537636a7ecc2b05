"""What holds for every command: help, errors in one line, exit codes, tracebacks only on request."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import belle_edge

Belle = Callable[..., Any]
COMMANDS = ("convert", "decrypt", "pull", "generate", "chat", "info", "verify", "demo", "completion")


def test_help_and_version(belle: Belle) -> None:
    done = belle("--help")
    assert done.returncode == 0
    assert all(command in done.stdout for command in COMMANDS)
    assert belle("--version").stdout == f"belle-edge {belle_edge.__version__}\n"


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command(belle: Belle, name: str) -> None:
    done = belle(name, "--help")
    assert done.returncode == 0
    assert "--verbose" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("generate", "none.gguf", "x"), "no such file"),
        (("generate", ".", "x"), "is a folder"),
        (("generate", "MODEL", "x", "--isa", "nothing"), "scalar"),
        (("generate", "MODEL", "x", "--top-p", "7"), "--top-p"),
        (("generate", "MODEL", "x", "--max-tokens", "0"), "--max-tokens"),
        (("generate", "MODEL", "x", "--threads", "0"), "threads"),
        (("generate", "MODEL", "--raw"), "prompt is empty"),
        (("generate", "MODEL", "--file", "none.txt"), "none.txt"),
        (("chat", "none.gguf"), "no such file"),
        (("chat", "."), "is a folder"),
        (("info", "."), "is a folder"),
        (("info", "none.gguf"), "none.gguf"),
        (("verify", "."), "is a folder"),
        (("verify", "none.gguf"), "no such file"),
        (("verify", "MODEL", "--threads", "0"), "--threads"),
        (("info", "MODEL", "--context", "0"), "--context"),
        (("info", "MODEL", "--context", "5000"), "1 to 256"),
    ],
)
def test_an_error_is_one_line_and_code_1(
    belle: Belle, model: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = belle(*(str(model) if argument == "MODEL" else argument for argument in arguments))
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_damaged_file_is_one_line(belle: Belle, tmp_path: Path, model: Path) -> None:
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(model.read_bytes()[:100_000])
    for words in (("info", damaged), ("verify", damaged), ("generate", damaged, "x"), ("chat", damaged)):
        done = belle(*words)
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert "damaged.gguf" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nothing",),
        ("generate",),
        ("generate", "a", "b", "--file", "c"),
        ("generate", "a", "--lines", "--jsonl"),
        ("generate", "a", "b", "--backend", "c"),
        ("chat",),
        ("chat", "a", "--overflow", "b"),
        ("completion", "powershell"),
    ],
)
def test_wrong_usage_is_code_2(belle: Belle, arguments: tuple[str, ...]) -> None:
    assert belle(*arguments).returncode == 2


@pytest.mark.slow
def test_a_traceback_only_on_request(belle: Belle) -> None:
    assert "Traceback" not in belle("generate", "none.gguf", "x").stderr
    assert "Traceback" in belle("generate", "none.gguf", "x", "--verbose").stderr
    assert "Traceback" in belle("generate", "none.gguf", "x", BELLE_DEBUG="1").stderr


@pytest.mark.slow
def test_without_arguments_the_help_is_shown(belle: Belle) -> None:
    assert belle().stdout == belle("--help").stdout


@pytest.mark.slow
def test_the_package_runs_as_a_module(belle: Belle) -> None:
    done = subprocess.run([sys.executable, "-m", "belle_edge", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, belle("--version").stdout)


@pytest.mark.slow
def test_the_demo_keeps_its_model_and_says_how_to_go_on(belle: Belle, tmp_path: Path) -> None:
    for _ in range(2):
        done = belle("demo", "--question", "你好", BELLE_CACHE=str(tmp_path / "my cache"))
        assert done.returncode == 0, done.stderr
        commands = [shlex.split(line) for line in done.stdout.splitlines() if line.startswith("  belle-edge")]
        assert [words[1] for words in commands] == ["chat", "generate"]
        for words in commands:
            assert Path(words[2]) == tmp_path / "my cache" / "demo" / "belle-demo-q4_0.gguf"
            assert belle(*words[1:], text="你好\n").returncode == 0
    (tmp_path / "file").touch()
    done = belle("demo", "--question", "你好", BELLE_CACHE=str(tmp_path / "file"))
    assert done.returncode == 0, done.stderr
    assert "--keep DIR" in done.stdout


@pytest.mark.slow
def test_demo(belle: Belle, tmp_path: Path) -> None:
    done = belle("demo", "--keep", tmp_path, "--question", "你好", HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"belle-demo-q8_0.gguf", "belle-demo-q4_0.gguf"}
    assert "q4_0" in done.stdout
    assert "Human: 你好" in done.stdout
    assert "tokens/s" in done.stdout

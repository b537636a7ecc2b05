"""The developers' scripts start from a clone, without an installation of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"


def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(TOOLS / name), *arguments], capture_output=True, text=True)


@pytest.mark.parametrize("name", sorted(path.name for path in TOOLS.glob("*.py")))
def test_help(name: str) -> None:
    done = run(name, "--help")
    assert done.returncode == 0, done.stderr
    assert name in done.stdout


def test_training_replaces_no_folder_of_other_files(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    done = run("train_demo_model.py", "--out", str(tmp_path))
    assert done.returncode == 2
    assert "is not empty and holds no checkpoint" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]

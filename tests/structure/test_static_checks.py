"""ruff and mypy over the whole package."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str, cwd: Path) -> None:
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_ruff() -> None:
    pytest.importorskip("ruff")
    run(sys.executable, "-m", "ruff", "check", ".", cwd=ROOT)
    run(sys.executable, "-m", "ruff", "format", "--check", ".", cwd=ROOT)


def test_mypy(tmp_path: Path) -> None:
    """convert/ is installed as belle_edge.convert: the types are checked on a copy laid out that way."""
    pytest.importorskip("mypy")
    ignore = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd", "checkpoint")
    shutil.copytree(ROOT / "belle_edge", tmp_path / "belle_edge", ignore=ignore)
    shutil.copytree(ROOT / "convert", tmp_path / "belle_edge" / "convert", ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    run(sys.executable, "-m", "mypy", "-p", "belle_edge", cwd=tmp_path)

"""ruff and mypy over the whole package."""

from __future__ import annotations

import os
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


def test_convert_is_found_below_the_package() -> None:
    """A link in the repository, for type checkers and editors; builds and installations do without it."""
    link = ROOT / "belle_edge" / "convert"
    if not link.is_symlink():
        pytest.skip("needs a checkout with symbolic links")
    assert os.readlink(link) == "../convert"
    assert link.resolve() == ROOT / "convert"


def test_mypy() -> None:
    """As a developer runs it, without arguments and in place."""
    pytest.importorskip("mypy")
    if not (ROOT / "belle_edge" / "convert").is_dir():
        pytest.skip("needs a checkout with symbolic links")
    run(sys.executable, "-m", "mypy", cwd=ROOT)

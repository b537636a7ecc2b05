"""Fixtures of the hub's tests: an environment that knows the stand-in only, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]
CODE = "import sys; from belle_edge.cli.main import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture
def hub_home(tmp_path: Path) -> Path:
    """HF_HOME of the processes."""
    return tmp_path / "hub-home"


@pytest.fixture
def command(tmp_path: Path, hub_home: Path) -> Run:
    """command(endpoint, "pull", "org/name", "--to", …, HF_HUB_OFFLINE="1") → the finished `belle-edge`."""
    pytest.importorskip("huggingface_hub")

    def run(endpoint: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        settings = {
            "HF_ENDPOINT": endpoint,
            "HF_HOME": str(hub_home),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "NO_PROXY": "*",
        }
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        return subprocess.run(
            [sys.executable, "-c", CODE, *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
            env={**inherited, **settings, **environment},
        )

    return run


@pytest.fixture
def pull(command: Run) -> Run:
    """The same for `belle-edge pull`, whose name is left out."""
    return lambda endpoint, *arguments, **environment: command(endpoint, "pull", *arguments, **environment)

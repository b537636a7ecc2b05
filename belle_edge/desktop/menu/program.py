"""What a menu entry starts: this installation, wherever the entry is used from."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

_WITHOUT_CONSOLE = "belle-edge-desktop"  # pyproject.toml's gui-script: on Windows it opens no console


def desktop_command() -> list[str]:
    """The program of this Python's installation; where there is none, the package by this Python."""
    ending = ".exe" if sys.platform == "win32" else ""
    program = Path(sysconfig.get_path("scripts")) / f"{_WITHOUT_CONSOLE}{ending}"
    if program.exists():
        return [str(program)]
    return [sys.executable, "-m", "belle_edge", "desktop"]

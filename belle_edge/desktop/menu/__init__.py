"""An entry for the desktop in the menu of the system, written and removed on request."""

from __future__ import annotations

import sys
from pathlib import Path

from . import linux_entry, macos_entry, windows_entry
from .program import desktop_command


def install() -> list[Path]:
    """Write the entry, over an older one; returns its files. Raises OSError."""
    return _system().install(desktop_command())


def uninstall() -> list[Path]:
    """Remove the entry; returns the files that were there. Raises OSError."""
    return _system().uninstall()


def _system() -> linux_entry.LinuxEntry | macos_entry.MacEntry | windows_entry.WindowsEntry:
    if sys.platform == "win32":
        return windows_entry.WindowsEntry()
    if sys.platform == "darwin":
        return macos_entry.MacEntry()
    return linux_entry.LinuxEntry()

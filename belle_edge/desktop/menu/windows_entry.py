"""Windows: a shortcut in the Start menu, which the system's own scripting object writes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .. import TITLE
from ..icons import icon_file

# The values come by the environment: no quoting, and any letters in names of users and folders.
SCRIPT = """\
$link = (New-Object -ComObject WScript.Shell).CreateShortcut($env:BELLE_LINK)
$link.TargetPath = $env:BELLE_TARGET
$link.Arguments = $env:BELLE_ARGUMENTS
$link.IconLocation = $env:BELLE_ICON
$link.WorkingDirectory = $env:USERPROFILE
$link.Description = 'Chat with BELLE models on this computer'
$link.Save()
"""
_TIMEOUT_S = 60


class WindowsEntry:
    """Of this user."""

    def __init__(self, start_menu: Path | None = None) -> None:
        """start_menu: None for that of this user."""
        if start_menu is None:
            start_menu = Path(os.environ["APPDATA"], "Microsoft", "Windows", "Start Menu", "Programs")
        self._link = start_menu / f"{TITLE}.lnk"

    def install(self, command: Sequence[str]) -> list[Path]:
        """Write the shortcut. Raises OSError."""
        self._link.parent.mkdir(parents=True, exist_ok=True)
        try:
            done = subprocess.run(
                ["powershell", "-NoProfile", "-NonInteractive", "-Command", SCRIPT],
                env={**os.environ, **self.values(command)},
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=_TIMEOUT_S,
            )
        except subprocess.TimeoutExpired:
            raise OSError(f"[desktop] PowerShell did not write {self._link} within {_TIMEOUT_S} s") from None
        if done.returncode != 0 or not self._link.exists():
            raise OSError(f"[desktop] PowerShell did not write {self._link}: {done.stderr.strip()[:500]}")
        return [self._link]

    def uninstall(self) -> list[Path]:
        """Remove it. Raises OSError."""
        if not self._link.exists():
            return []
        self._link.unlink()
        return [self._link]

    def values(self, command: Sequence[str]) -> dict[str, str]:
        """What the script reads."""
        return {
            "BELLE_LINK": str(self._link),
            "BELLE_TARGET": command[0],
            "BELLE_ARGUMENTS": subprocess.list2cmdline(command[1:]),
            "BELLE_ICON": f"{icon_file('ico')},0",
        }

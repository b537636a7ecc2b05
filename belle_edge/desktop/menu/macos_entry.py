"""macOS: a small application in ~/Applications that starts this installation."""

from __future__ import annotations

import plistlib
import shlex
from collections.abc import Sequence
from pathlib import Path

from ..._version import __version__
from .. import APPLICATION_ID, TITLE
from ..icons import icon_file
from .written_files import remove_all, write_all


class MacEntry:
    """Of this user."""

    def __init__(self, applications: Path | None = None) -> None:
        """applications: None for ~/Applications."""
        self._applications = Path.home() / "Applications" if applications is None else applications

    def install(self, command: Sequence[str]) -> list[Path]:
        """Write the application. Raises OSError."""
        information, program, icon = self._files()
        script = f"#!/bin/sh\nexec {shlex.join(command)}\n"
        files = {information: _information(), program: script.encode(), icon: icon_file("icns").read_bytes()}
        return write_all(files, programs=[program])

    def uninstall(self) -> list[Path]:
        """Remove it. Raises OSError."""
        return remove_all(self._files(), below=self._applications)

    def _files(self) -> tuple[Path, Path, Path]:
        contents = self._applications / f"{TITLE}.app" / "Contents"
        return (
            contents / "Info.plist",
            contents / "MacOS" / APPLICATION_ID,
            contents / "Resources" / f"{APPLICATION_ID}.icns",
        )


def _information() -> bytes:
    return plistlib.dumps(
        {
            "CFBundleName": TITLE,
            "CFBundleDisplayName": TITLE,
            "CFBundleIdentifier": f"{APPLICATION_ID}.desktop",
            "CFBundleVersion": __version__,
            "CFBundleShortVersionString": __version__,
            "CFBundlePackageType": "APPL",
            "CFBundleExecutable": APPLICATION_ID,
            "CFBundleIconFile": APPLICATION_ID,
            "NSHighResolutionCapable": True,
        }
    )

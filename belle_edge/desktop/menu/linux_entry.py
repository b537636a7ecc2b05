"""Linux and other systems with freedesktop.org's menus: a .desktop file, and icons in the theme `hicolor`.

freedesktop.org: Desktop Entry Specification, Icon Theme Specification.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from .. import APPLICATION_ID, TITLE
from ..icons import PNG_SIZES, icon_file, icon_path
from .written_files import remove_all, write_all

_ENTRY = """\
[Desktop Entry]
Type=Application
Name={title}
Comment=Chat with BELLE models on this computer, without internet
Comment[zh_CN]=不用联网，在这台电脑上与 BELLE 模型对话
Comment[es]=Chatee con modelos BELLE en este equipo, sin internet
Exec={command}
Icon={name}
Terminal=false
Categories=Utility;
Keywords=BELLE;GGUF;chat;
Keywords[zh_CN]=BELLE;GGUF;对话;聊天;大模型;
StartupNotify=true
StartupWMClass={name}
"""


class LinuxEntry:
    """Of this user."""

    def __init__(self, data_home: Path | None = None) -> None:
        """data_home: None for $XDG_DATA_HOME, or ~/.local/share."""
        if data_home is None:
            from platformdirs import user_data_path

            data_home = user_data_path()
        self._home = data_home

    def install(self, command: Sequence[str]) -> list[Path]:
        """Write entry and icons. Raises OSError."""
        entry = _ENTRY.format(title=TITLE, name=APPLICATION_ID, command=exec_line(command))
        contents = [entry.encode(), icon_file("svg").read_bytes()]
        contents += [icon_path(size).read_bytes() for size in PNG_SIZES]
        return write_all(dict(zip(self._files(), contents, strict=True)))

    def uninstall(self) -> list[Path]:
        """Remove them. Raises OSError."""
        return remove_all(self._files(), below=self._home)

    def _files(self) -> list[Path]:
        icons = self._home / "icons" / "hicolor"
        return [
            self._home / "applications" / f"{APPLICATION_ID}.desktop",
            icons / "scalable" / "apps" / f"{APPLICATION_ID}.svg",
            *(icons / f"{size}x{size}" / "apps" / f"{APPLICATION_ID}.png" for size in PNG_SIZES),
        ]


def exec_line(command: Sequence[str]) -> str:
    """Words as the key Exec wants them: quoted, then escaped as every string of the file."""
    quoted = []
    for word in command:
        inner = re.sub(r'(["`$\\])', r"\\\1", word).replace("%", "%%")
        quoted.append(f'"{inner}"'.replace("\\", "\\\\"))
    return " ".join(quoted)

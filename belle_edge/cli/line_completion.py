"""What Tab completes in a chat: commands, names of settings, paths of files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from .chat_commands import COMMANDS
from .chat_settings import NAMES

_MOST = 200  # matches; more help nobody


def completions(line: str) -> list[str]:
    """The lines that `line`, what stands before the cursor, can become."""
    if not line.startswith("/"):
        return []
    word, space, argument = line[1:].partition(" ")
    if not space:
        found = (f"/{name}{' ' if COMMANDS[name].argument else ''}" for name in COMMANDS)
        return [text for text in found if text.startswith(line)]
    command = COMMANDS.get(word)
    before = line[: len(line) - len(argument)]
    if command is not None and command.takes_path:
        return [before + path for path in _paths(argument)]
    if command is not None and command.name == "set":
        return [f"{before}{name} " for name in NAMES if name.startswith(argument)]
    return []


def _paths(typed: str) -> list[str]:
    """Paths that begin as `typed` does; folders end with a slash. A `~` stays as it was typed."""
    folder, name = os.path.split(typed)
    prefix = typed[: len(typed) - len(name)]
    try:
        return sorted(prefix + entry for entry in _entries(Path(folder or ".").expanduser(), name))[:_MOST]
    except (OSError, RuntimeError, ValueError):  # no such folder, no such user, a character no path has
        return []


def _entries(folder: Path, beginning: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith(beginning) or (entry.name.startswith(".") and not beginning):
                continue
            if entry.name.isprintable():
                yield f"{entry.name}{'/' if entry.is_dir() else ''}"

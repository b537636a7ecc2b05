"""Paths: those that users name, and where this package keeps files of its own."""

from __future__ import annotations

import os
from pathlib import Path

_OTHER_PART = "-of-"  # model-00002-of-00003.gguf


def user_path(name: str, path: str | bytes | os.PathLike[str]) -> Path:
    """`path` as a user wrote it, with ~ or ~user as the home folder; bytes as the system gives them.

    Raises ValueError, with `name`, for what is no path.
    """
    try:
        text: object = os.fsdecode(path)
    except TypeError:
        text = None
    if not isinstance(text, str):
        raise ValueError(f"{name}: expected a text or a Path, got {type(path).__name__}")
    if not text:
        raise ValueError(f"{name}: expected the name of a file or folder, got an empty text")
    return Path(os.path.expanduser(text))  # unlike Path.expanduser, a user that does not exist stays as it is


def cache_folder() -> Path:
    """$BELLE_CACHE, or belle-edge in the system's folder for caches of this user. It need not exist."""
    if chosen := os.environ.get("BELLE_CACHE"):
        return Path(chosen).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("belle-edge", appauthor=False)


def data_folder() -> Path:
    """$BELLE_DATA, or belle-edge in the system's folder for data of this user: chats, models. It need not exist."""
    if chosen := os.environ.get("BELLE_DATA"):
        return Path(chosen).expanduser()
    from platformdirs import user_data_path

    return user_data_path("belle-edge", appauthor=False)


def models_folder() -> Path:
    """Where models lie that are found without being named. It need not exist."""
    return data_folder() / "models"


def models_in(folder: Path) -> list[Path]:
    """GGUF files of a folder in the order of their names; of a split model the first part. OSError."""
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".gguf" and path.is_file())
    return [path for path in files if _OTHER_PART not in path.stem or "-00001-of-" in path.stem]


def state_folder() -> Path:
    """belle-edge in the system's folder for the state of this user's programs. It need not exist."""
    from platformdirs import user_state_path

    return user_state_path("belle-edge", appauthor=False)

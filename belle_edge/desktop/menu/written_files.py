"""The files of a menu entry: written whole, removed with the folders that they leave empty."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from ...output_files import whole_file


def write_all(files: Mapping[Path, bytes], *, programs: Iterable[Path] = ()) -> list[Path]:
    """Write each file, in place of an older one. programs: those that may be executed. Raises OSError."""
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path, replace=True, mode=0o755 if path in programs else 0o644) as file:
            file.write(content)
    return list(files)


def remove_all(files: Iterable[Path], *, below: Path) -> list[Path]:
    """Remove what is there of `files`, then their empty folders up to `below`, which stays. Raises OSError."""
    removed = [path for path in files if path.is_file()]
    for path in removed:
        path.unlink()
    for path in removed:
        for folder in path.parents:
            if folder == below or not folder.is_relative_to(below) or any(folder.iterdir()):
                break
            folder.rmdir()
    return removed

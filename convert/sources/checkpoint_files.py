"""The files of a checkpoint under their published names: a folder, or a single file with its neighbours."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from belle_edge.convert.sources.byte_source import ByteSource, MappedBytes
from belle_edge.errors import ConversionError
from belle_edge.regular_files import irregular, open_regular
from belle_edge.strict_json import JsonError, parse

LFS_PREFIX = b"version https://git-lfs.github.com/spec/"
_MAX_SMALL_BYTES = 256 << 20  # of a file that is read whole: six times the largest tokenizer known


class CheckpointFiles(Protocol):
    """A set of files. Small ones (JSON, tokenizers) are read whole, weights through a ByteSource."""

    @property
    def name(self) -> str:
        """Of the folder: evidence of which model this is, and the place in messages."""

    def names(self) -> list[str]:
        """Sorted names of all files."""

    def read(self, name: str) -> bytes | None:
        """The content of a small file, None where there is none of this name."""

    def open(self, name: str) -> ByteSource:
        """A weight file. ConversionError where it is missing, empty or a Git LFS pointer."""


class FolderFiles:
    """The files directly in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.absolute().name

    def names(self) -> list[str]:
        """Pipes and the like are among them, so that they are named by `read` and `open` where they matter."""
        # macOS leaves a ._NAME with a file's attributes beside each file that it copies.
        entries = (path for path in self.folder.iterdir() if path.exists() and not path.is_dir())
        return sorted(path.name for path in entries if not path.name.startswith("._"))

    def read(self, name: str) -> bytes | None:
        path = self.folder / name
        if not path.exists():
            return None
        require_regular(path)
        return read_small(path)

    def open(self, name: str) -> ByteSource:
        path = self.folder / name
        if not path.exists():
            raise ConversionError(f"[{name}] no such file in {self.name}")
        require_regular(path)
        check_real_file(path)
        return MappedBytes(path)


def parse_json(name: str, content: bytes | None) -> dict[str, Any] | None:
    """The JSON object in a file's content, None for None. ConversionError when it is something else."""
    if content is None:
        return None
    check_real(name, content)
    try:
        value = parse(content)
    except JsonError as error:
        raise ConversionError(f"[{name}] damaged JSON: {error}") from None
    if not isinstance(value, dict):
        raise ConversionError(f"[{name}] expected a JSON object, found {type(value).__name__}")
    return value


def read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object in `path`, None if there is no such file. ConversionError when it is something else."""
    if not path.exists():
        return None
    require_regular(path)
    return parse_json(path.name, read_small(path))


def require_regular(path: Path) -> None:
    """ConversionError where `path` is a folder, a pipe or a device: opening one might wait for ever."""
    kind = irregular(path)
    if kind is not None:
        raise ConversionError(f"[{path.name}] expected a file, found {kind} ({path})")


def read_small(path: Path) -> bytes:
    """The content of a file that is read whole. ConversionError for one that no such file could be."""
    check_small(path.name, path.stat().st_size)
    return path.read_bytes()


def check_small(name: str, n_bytes: int) -> None:
    """ConversionError for more bytes than a configuration or a tokenizer has."""
    if n_bytes > _MAX_SMALL_BYTES:
        raise ConversionError(
            f"[{name}] expected at most {_MAX_SMALL_BYTES >> 20} MB, as a configuration or a tokenizer has, got"
            f" {n_bytes >> 20} MB: another file under this name?"
        )


def check_real_file(path: Path) -> None:
    """ConversionError if `path` is empty, or a Git LFS pointer in place of the file."""
    with open_regular(path) as file:
        check_real(path.name, file.read(len(LFS_PREFIX)))


def check_real(name: str, start: bytes) -> None:
    """The same for a file that starts with these bytes."""
    if not start:
        raise ConversionError(f"[{name}] the file is empty (0 bytes): download it again")
    if start.startswith(LFS_PREFIX):
        raise ConversionError(
            f"[{name}] a Git LFS pointer, not the file itself: run `git lfs pull` in the folder"
        )

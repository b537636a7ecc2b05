"""An output is never one of the files it is made from, under whatever name: links, `..`, upper and lower case."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from belle_edge.convert.journal import journal_path
from belle_edge.convert.partial_file import partial_path
from belle_edge.errors import ConversionError
from belle_edge.regular_files import open_regular

_OUTPUTS = (".gguf", ".part", ".journal", ".states")
_HUB_CACHE = re.compile(r"/models--[^/]+/(blobs|snapshots|refs)/")


def check_not_a_source(target: Path, src: str | Path, others: Iterable[str | Path] = ()) -> None:
    """ConversionError if writing `target`, or the files beside it that become it, would replace a file that is read.

    src: folder or weight file, whose neighbours count as read with it, but for what this converter writes; others: more
    files and folders. What is no local file is passed over.
    """
    if any(_HUB_CACHE.search(place.as_posix()) for place in (target.absolute(), target.resolve())):
        raise ConversionError(
            f"[{target}] the hub's cache keeps what was downloaded: write to another folder"
        )
    if target.exists() or partial_path(target).exists() or journal_path(target).exists():
        source = Path(src).expanduser()
        places = [source, *([source.parent] if source.is_file() else []), *map(Path, others)]
        check_none_of(target, (file for place in places for file in _files(place.expanduser())))


def check_none_of(target: Path, sources: Iterable[Path]) -> None:
    """ConversionError if `target`, or one of the files beside it that become it, is one of these files."""
    written = [name for name in (target, partial_path(target), journal_path(target)) if name.exists()]
    for source in sources:
        for name in written:
            if _is_same(name, source):
                raise ConversionError(
                    f"[{name}] is a file that is read here ({source}): choose another name for the output"
                )


def _files(place: Path) -> Iterator[Path]:
    """A file, or what opening a folder may read: its files, and those of the folders in it."""
    if place.is_file():
        yield place
    elif place.is_dir():
        for path in (path for pattern in ("*", "*/*", "../tokenizer.model") for path in place.glob(pattern)):
            if path.is_file() and path.suffix not in _OUTPUTS and not _is_gguf(path):
                yield path


def _is_same(name: Path, source: Path) -> bool:
    with suppress(OSError):
        return os.path.samefile(name, source)
    return False


def _is_gguf(path: Path) -> bool:
    with suppress(OSError), open_regular(path) as file:
        return file.read(4) == b"GGUF"
    return False

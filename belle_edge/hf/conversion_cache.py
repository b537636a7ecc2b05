"""The folder of converted models: one entry per source, type and converter version, complete or absent.

Entries are made under a lock, so that two processes do not convert the same model twice.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .._version import __version__
from ..folders import cache_folder
from ..output_files import whole_file
from ..regular_files import read_regular
from ..strict_json import parse

_log = logging.getLogger(__name__)
_FINGERPRINTED = ("*.json", "*.jinja", "*.safetensors", "*.bin", "tokenizer.model", "README.md")


def fingerprint(folder: Path) -> str:
    """Of a checkpoint folder: its name (the prompt family is read from it), config.json, and the name, size
    and time of change of each file that a conversion reads."""
    digest = hashlib.sha256(os.fsencode(folder.resolve().name))
    config = folder / "config.json"
    digest.update(config.read_bytes() if config.is_file() else b"")
    for path in sorted({path for pattern in _FINGERPRINTED for path in folder.glob(pattern)}):
        status = path.stat()
        digest.update(f"\0{path.name}\0{status.st_size}\0{status.st_mtime_ns}".encode())
    return digest.hexdigest()


class CacheEntry:
    """One converted file, `path`, and beside it the description that proves it complete."""

    def __init__(self, *, label: str, source: str, type: str, options: Mapping[str, Any]) -> None:
        """label: readable part of the file's name. source: repository@commit, or a folder's fingerprint."""
        text = json.dumps(
            {"source": source, "type": type, "converter": __version__, **options}, sort_keys=True
        )
        self.description = parse(text.encode())  # as the note gives it back: lists in place of tuples
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        name = re.sub(r"[^\w.-]+", "-", label).strip("-.")[:80] or "model"
        self.path = cache_folder() / "converted" / f"{name}-{type}-{key}.gguf"
        self._note = self.path.with_suffix(".json")

    def is_complete(self) -> bool:
        """Whether the file is there, with the size that the conversion gave it."""
        try:
            note = parse(read_regular(self._note))
            return bool(note["description"] == self.description and note["bytes"] == self.path.stat().st_size)
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def ensure(self, make: Callable[[Path], None]) -> Path:
        """The complete file; `make(path)` writes it, once, if it is not there. OSError for an unusable folder."""
        if self.is_complete():
            return self.path
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock():
            if not self.is_complete():  # another process may have been faster
                self._discard()
                make(self.path)
                note = {"description": self.description, "bytes": self.path.stat().st_size}
                with whole_file(self._note, replace=True) as file:
                    file.write(json.dumps(note, ensure_ascii=False, indent=1).encode())
        return self.path

    def discard(self) -> None:
        """Remove the entry: its content turned out to be damaged."""
        with self._lock():
            self._discard()

    def _discard(self) -> None:
        self._note.unlink(missing_ok=True)  # first: without it the file counts for nothing
        self.path.unlink(missing_ok=True)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        from filelock import FileLock, Timeout

        lock = FileLock(self.path.with_suffix(".lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            _log.warning("%s: another process is making it; waiting", self.path.name)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

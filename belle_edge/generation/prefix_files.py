"""Beginnings of prompts in a folder, one file each: what was computed before a restart is there after it.

A file: a line with the format, a line with two hashes, JSON with the token ids, then the bytes of the cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .. import _core
from .._version import __version__
from ..backends.base import Backend, SequenceState
from ..output_files import whole_file
from ..regular_files import open_regular
from ..settings import token_ids
from ..strict_json import MAX_BYTES, parse
from .common_beginnings import common_length

SHORTEST = 64  # tokens worth a file, or worth one more
_FIRST_LINE = b"BELLE EDGE PREFIX 1\n"
_LONGEST_LINE = 64
_SUFFIX = ".prefix"


class PrefixFiles:
    """The files of one model in a folder that several models may share. Any thread may call, and other processes may
    use the same folder: a file is whole or not there, and one that vanishes was not there.

    A file is used for the numbers it was made with only: the weights, the type of the cache, the instruction set and
    the forms of activations, this very build. What says so and is damaged is removed.
    """

    def __init__(self, backend: Backend, folder: Path, *, budget_bytes: int) -> None:
        """budget_bytes: of all such files in the folder; the least recently used ones go. OSError for a folder that
        cannot be made."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._backend = backend
        self._folder = folder
        self._budget_bytes = budget_bytes
        self._identity = _identity(backend)
        # Of what follows. A stream that is dropped while a thread has it may come here again.
        self._lock = threading.RLock()
        self._ids: dict[Path, list[int]] | None = None  # of each file, once the folder was read
        self._may_write = True

    def load(self, ids: Sequence[int], most: int, *, longer_than: int) -> SequenceState | None:
        """A sequence that begins as `ids` do, for at least SHORTEST tokens beyond `longer_than`."""
        while True:
            with self._lock:
                lengths = {path: common_length(known, ids, most) for path, known in self._index().items()}
            path = max(lengths, key=lambda path: lengths[path], default=None)
            if path is None or lengths[path] < longer_than + SHORTEST:
                return None
            sequence = self._restored(path)
            if sequence is not None:
                return sequence
            self._remove(path)

    def wants(self, ids: Sequence[int]) -> bool:
        """Whether a file of `ids` would be worth its bytes beside those that are there."""
        if not self._may_write or len(ids) < SHORTEST:
            return False
        with self._lock:
            known = max((common_length(other, ids, len(ids)) for other in self._index().values()), default=0)
        return len(ids) - known >= SHORTEST

    def write(self, ids: list[int], sequence: SequenceState) -> None:
        """Write a file, unless it alone is beyond the budget. Warns once where the folder takes none."""
        state = sequence.save()
        header = json.dumps({"ids": ids}).encode() + b"\n"
        lines = (_FIRST_LINE, _hash_line(header, state), header, state)
        if sum(map(len, lines)) > self._budget_bytes:
            return
        digest = hashlib.sha256(np.asarray(ids, dtype=np.int32).tobytes()).hexdigest()
        path = self._folder / f"{self._identity}-{digest[:24]}{_SUFFIX}"
        try:
            with whole_file(path, replace=True, mode=0o600) as file:
                file.writelines(lines)
        except OSError as error:
            self._may_write = False
            warnings.warn(f"[prefixes] {self._folder} takes no files: {error}", RuntimeWarning, stacklevel=2)
            return
        with self._lock:
            index = self._index()
            contained = [
                other for other, known in index.items() if known == ids[: len(known)] and other != path
            ]
            index[path] = list(ids)
        for other in contained:
            self._remove(other)
        self._make_room()

    def _index(self) -> dict[Path, list[int]]:
        """The ids of this model's files; the folder is read once."""
        if self._ids is None:
            self._ids = {}
            for path in sorted(self._folder.glob(f"{self._identity}-*{_SUFFIX}")):
                try:
                    with open_regular(path) as file:
                        self._ids[path] = _read_header(file)[0]
                except (OSError, ValueError):
                    _unlink(path)
        return self._ids

    def _restored(self, path: Path) -> SequenceState | None:
        """The sequence in a file; None where it is damaged or gone."""
        try:
            with open_regular(path) as file:
                ids, header, hashes = _read_header(file)
                state = file.read()
            if _hash_line(header, state) != hashes:
                return None
            sequence = self._backend.restore(state)
            if sequence.tokens().tolist() != ids:
                return None
            os.utime(path)  # used now
        except (OSError, ValueError):
            return None
        return sequence

    def _remove(self, path: Path) -> None:
        with self._lock:
            self._index().pop(path, None)
        _unlink(path)

    def _make_room(self) -> None:
        """Remove the least recently used files, whichever model's, until the others are within the budget."""
        found = []
        for path in self._folder.glob(f"*{_SUFFIX}"):
            with suppress(OSError):
                status = path.stat()
                found.append((status.st_mtime_ns, status.st_size, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self._budget_bytes:
                return
            self._remove(path)
            total -= size


def _identity(backend: Backend) -> str:
    """Of everything that decides the bits of a cache. An empty sequence's state names the weights and the type."""
    build = os.stat(_core.__file__)
    forms = getattr(getattr(backend, "model", None), "activation_forms", ())
    parts = (
        backend.name,
        __version__,
        (build.st_size, build.st_mtime_ns),
        backend.details["isa"],
        backend.details["kv_type"],
        [(choice["tensor"], choice["form"], choice["outliers"]) for choice in forms],
        backend.new_sequence().save().hex(),
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _read_header(file: BinaryIO) -> tuple[list[int], bytes, bytes]:
    """Token ids, the line that they stand in, the line of hashes. ValueError for another or a damaged file."""
    if file.readline(_LONGEST_LINE) != _FIRST_LINE:
        raise ValueError("another format")
    hashes, header = file.readline(_LONGEST_LINE), file.readline(MAX_BYTES + 1)
    if hashes[:16] != _hash(header):
        raise ValueError("damaged")
    return token_ids("ids", parse(header)["ids"]), header, hashes


def _hash_line(header: bytes, state: bytes) -> bytes:
    return _hash(header) + b" " + _hash(state) + b"\n"


def _hash(data: bytes) -> bytes:
    return f"{_core.xxh64(data):016x}".encode()


def _unlink(path: Path) -> None:
    with suppress(OSError):
        path.unlink()

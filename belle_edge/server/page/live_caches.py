"""The caches of chats that were used lately: some in memory, more in files, within a budget each."""

from __future__ import annotations

import logging
import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from ...errors import BelleError
from ...generation.history import History
from ...generation.stored_turns import shared_length, with_cache_of
from ...memory import available_memory
from ...model import Belle
from .chat_cache_file import read_cache, write_cache

LOGGER = logging.getLogger("belle_edge")
_MOST_LIVE = 8  # chats
_MEMORY_BYTES = 2 << 30  # at most; an eighth of what is free if that is less
_MEMORY_SHARE = 8
_SHORTEST = 64  # tokens that are worth a file


@dataclass
class LiveCache:
    """The end of one chat, as the engine holds it."""

    chat: str
    message: str  # the answer that it ends with
    belle: Belle
    history: History
    saved: bool = False

    @property
    def n_bytes(self) -> int:
        sequence = self.history.sequence
        return 0 if sequence is None else sequence.length * int(self.belle.details["kv_bytes_per_token"])


class LiveCaches:
    """For any thread. A cache is only read: whoever goes on with it takes a fork."""

    def __init__(self, folder: Path, *, disk_bytes: int, memory_bytes: int | None = None) -> None:
        """folder: of the files; it need not exist. disk_bytes: of all of them; 0: none are written. memory_bytes: of
        the caches in memory; the newest stays in any case."""
        self._folder = folder
        self._disk_bytes = disk_bytes
        self._memory_bytes = _memory_budget() if memory_bytes is None else memory_bytes
        self._live: OrderedDict[str, LiveCache] = OrderedDict()  # by chat, the least recently used first
        self._lock = threading.Lock()
        self._reading = (
            threading.Lock()
        )  # one file at a time; whoever needs it waits for who reads it already

    def put(self, cache: LiveCache) -> None:
        """The newest of its chat; others go where it gets too much, after they were saved."""
        with self._lock:
            self._live[cache.chat] = cache
            self._live.move_to_end(cache.chat)
            gone = self._over_budget()
        for old in gone:
            self._save(old)

    def with_cache(self, chat: str, belle: Belle, wanted: History) -> History:
        """`wanted` with a fork of the longest beginning that is there: of this chat, of another one, of a file."""
        self.fetch(chat, belle)
        with self._lock:
            live = [cache.history for cache in self._live.values() if cache.belle is belle]
        best = max(live, key=lambda history: shared_length(wanted, history), default=None)
        return wanted if best is None else with_cache_of(wanted, best)

    def fetch(self, chat: str, belle: Belle) -> None:
        """Have what is in the chat's file in memory, where that is newer than what is there: somebody opened it."""
        with self._reading:
            with self._lock:
                known = self._live.get(chat)
            if known is not None and known.belle is belle:
                return
            if (found := self._read(chat, belle)) is not None:
                self.put(LiveCache(chat, "", belle, found, saved=True))

    def save(self, belle: Belle | None = None) -> None:
        """Write what is not in its file yet: of this model, or of all."""
        with self._lock:
            waiting = [cache for cache in self._live.values() if belle is None or cache.belle is belle]
        for cache in waiting:
            self._save(cache)

    def forget_model(self, belle: Belle) -> None:
        """It is unloaded: nothing of it may stay in memory."""
        with self._lock:
            for chat in [chat for chat, cache in self._live.items() if cache.belle is belle]:
                del self._live[chat]

    def forget_chat(self, chat: str) -> None:
        """It was removed for good."""
        with self._lock:
            self._live.pop(chat, None)
        self._file(chat).unlink(missing_ok=True)

    def _over_budget(self) -> list[LiveCache]:
        gone = []
        while len(self._live) > 1 and (
            len(self._live) > _MOST_LIVE
            or sum(cache.n_bytes for cache in self._live.values()) > self._memory_bytes
        ):
            gone.append(self._live.popitem(last=False)[1])
        return gone

    # ---- files

    def _file(self, chat: str) -> Path:
        return self._folder / f"{chat}.cache"

    def _save(self, cache: LiveCache) -> None:
        """Errors are logged: without the file the chat is computed again."""
        sequence = cache.history.sequence
        if cache.saved or sequence is None or sequence.length < _SHORTEST or cache.n_bytes > self._disk_bytes:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._make_room(cache)
            write_cache(self._file(cache.chat), cache.history)
            cache.saved = True
        except (OSError, ValueError, RuntimeError, BelleError, MemoryError) as error:
            LOGGER.warning("the cache of a chat was not saved: %s", error)

    def _make_room(self, cache: LiveCache) -> None:
        """Remove the files that were unused for longest until this one has room."""
        found = [(path, path.stat()) for path in self._folder.glob("*.cache")]
        others = sorted(
            (entry for entry in found if entry[0] != self._file(cache.chat)),
            key=lambda entry: entry[1].st_mtime,
        )
        total = cache.n_bytes + sum(status.st_size for _, status in others)
        for path, status in others:
            if total <= self._disk_bytes:
                return
            path.unlink(missing_ok=True)
            total -= status.st_size

    def _read(self, chat: str, belle: Belle) -> History | None:
        """What its file has; None where there is none that fits."""
        if self._disk_bytes <= 0:
            return None
        path = self._file(chat)
        try:
            found = read_cache(path, belle.backend)
            os.utime(path)
        except (OSError, ValueError, RuntimeError, BelleError, MemoryError):
            return None
        return found


def _memory_budget() -> int:
    free = available_memory()
    return _MEMORY_BYTES if free is None else min(_MEMORY_BYTES, free.n_bytes // _MEMORY_SHARE)

"""The anonymous memory of a process, watched while it works. Imported by scripts that run in processes of their own."""

from __future__ import annotations

import threading
from types import TracebackType


def anonymous_bytes() -> int:
    """What this process holds without a file behind it: RssAnon of Linux."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon"))


class AnonymousPeak:
    """`with AnonymousPeak() as memory: ...`; then memory.peak and memory.growth in bytes, sampled every 2 ms."""

    def __init__(self) -> None:
        self._start = self.peak = anonymous_bytes()
        self._done = threading.Event()
        self._watcher = threading.Thread(target=self._watch)

    @property
    def growth(self) -> int:
        return self.peak - self._start

    def __enter__(self) -> AnonymousPeak:
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._done.wait(0.002):
            self.peak = max(self.peak, anonymous_bytes())

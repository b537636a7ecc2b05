"""Locks that a forked child never waits for: the thread that holds one may not exist there."""

from __future__ import annotations

import os
import threading


def check_process(pid: int) -> None:
    """RuntimeError unless this is the process `pid`, which made what is asked now: it forked since."""
    if os.getpid() != pid:
        raise RuntimeError(
            "[model] it was loaded before this process forked: load it again in the child, or start processes "
            "with the 'spawn' method"
        )


class ModuleLock:
    """A lock of a module, for what is done once per process: free in every child of fork()."""

    def __init__(self) -> None:
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_error: object) -> None:
        self._lock.release()


class ProcessLock:
    """A re-entrant lock of the process that made it. Taking it in a child of fork() raises RuntimeError."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()

    @property
    def usable(self) -> bool:
        """False in a child of fork()."""
        return os.getpid() == self._pid

    def acquire(self, *, blocking: bool = True) -> bool:
        """Take it; without `blocking` only where no other thread has it. Returns whether it was taken."""
        check_process(self._pid)
        return self._lock.acquire(blocking)

    def release(self) -> None:
        """Give it back."""
        self._lock.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_error: object) -> None:
        self.release()

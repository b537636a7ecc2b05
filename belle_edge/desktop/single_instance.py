"""One desktop for each data folder: who is first holds a lock, and leaves a note where its server is."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import BelleError
from ..output_files import whole_file
from ..regular_files import read_regular
from ..strict_json import parse

_LOCK, _NOTE = "desktop.lock", "desktop.json"
_PATIENCE_S = 20.0  # for one that starts or ends just now
_PAUSE_S = 0.1


@dataclass(frozen=True)
class Place:
    """Where the server of a desktop is, and the key that it asks for."""

    port: int  # of 127.0.0.1
    key: str
    pid: int

    @property
    def address(self) -> str:
        """What the window opens: the fragment stays in the window, no server and no log sees it."""
        return f"http://127.0.0.1:{self.port}/#key={self.key}"


class Instance:
    """This process, the first one: it holds the lock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def announce(self, place: Place) -> None:
        """Leave the note that later starts read."""
        with whole_file(self.folder / _NOTE, replace=True, mode=0o600) as file:
            file.write(json.dumps(asdict(place)).encode())

    def withdraw(self) -> None:
        """Take the note away."""
        (self.folder / _NOTE).unlink(missing_ok=True)


@contextmanager
def first_or_other(folder: Path, *, patience_s: float = _PATIENCE_S) -> Iterator[Instance | Place]:
    """An `Instance` where this process is the first, while the block runs; else the place of the one that is.

    The system frees the lock of a process that died, so that a note without a lock is known to be stale.

    folder: the data folder, made if needed. patience_s: for a process that holds the lock and leaves no note.
    BelleError where it never does.
    """
    from filelock import FileLock, Timeout

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FileLock(folder / _LOCK, mode=0o600)
    end = time.monotonic() + patience_s
    while True:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if (place := _noted(folder)) is not None:
                yield place
                return
            if time.monotonic() > end:
                raise _silent(folder) from None
            time.sleep(_PAUSE_S)
            continue
        instance = Instance(folder)
        try:
            instance.withdraw()  # of one that died
            yield instance
        finally:
            instance.withdraw()
            lock.release()
        return


def _noted(folder: Path) -> Place | None:
    """What the note says; None where there is none, or one of another form."""
    try:
        fields = parse(read_regular(folder / _NOTE))
        place = Place(**fields) if isinstance(fields, dict) else None
    except (OSError, ValueError, TypeError):
        return None
    if place is None or [type(value) for value in asdict(place).values()] != [int, str, int]:
        return None
    return place


def _silent(folder: Path) -> BelleError:
    return BelleError(
        f"[desktop] another BELLE Edge uses {folder} and does not say where it is: end it, and start again "
        f"(this process is {os.getpid()})"
    )

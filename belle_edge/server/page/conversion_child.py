"""The process of one conversion: told what to do by its argument, it tells how far it is in lines of JSON.

It ends where its input does: with the server, or when the job is cancelled. What it wrote so far is gone on with later.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from ...errors import BelleError
from ...strict_json import parse

_TOLD_EVERY_S = 0.1


def main(argument: str) -> int:
    """The exit code."""
    threading.Thread(target=_end_with_input, daemon=True).start()
    wanted = parse(argument)
    try:
        path = _converted(wanted["kind"], wanted["source"], wanted["type"], Path(wanted["folder"]))
    except (BelleError, OSError, ValueError, MemoryError) as error:
        _tell(error=str(error))
        return 1
    _tell(result=str(path.absolute()))
    return 0


def _converted(kind: str, source: str, type: str | None, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "convert":
        return _convert(Path(source).expanduser(), Path(source).expanduser().absolute().name, type, folder)
    from ...pull import pull

    pulled = pull(source, type=type, downloading=_Telling().download)
    if pulled.gguf is not None:
        return pulled.gguf
    return _convert(pulled.folder, source.rpartition("/")[2], type, folder)


def _convert(source: Path, name: str, type: str | None, folder: Path) -> Path:
    from ...convert import convert
    from ...convert.type_rules import rules_from

    telling = _Telling()
    rules = rules_from(type)
    out = folder / f"{name}-{rules.label}.gguf"
    convert(source, out, type=rules, resume=True, progress=telling.conversion)
    return out


class _Telling:
    """Not more often than somebody looks."""

    def __init__(self) -> None:
        self._due = 0.0

    def conversion(self, event: Any) -> None:
        self._tell("converting", event.done_bytes, event.total_bytes)

    def download(self, event: Any) -> None:
        self._tell("downloading", event.done_bytes, event.total_bytes)

    def _tell(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now >= self._due or done == total:
            self._due = now + _TOLD_EVERY_S
            _tell(stage=stage, done=done, total=total)


def _tell(**values: Any) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

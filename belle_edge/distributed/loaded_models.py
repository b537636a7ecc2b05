"""The models of this process: each is loaded once, whoever asks for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..model import Belle
from ..process_lock import ModuleLock

_lock = ModuleLock()
_models: dict[tuple[int, str, int, str], Belle] = {}


def loaded_model(path: str, *, threads: int, load: Mapping[str, Any]) -> Belle:
    """The model of these arguments of `Belle.load`, whose errors pass. It stays until the process ends.

    A process that was forked loads its own: threads of an engine do not outlive a fork.
    """
    key = (os.getpid(), path, threads, repr(sorted(load.items())))
    with _lock:
        if key not in _models:
            _models[key] = Belle.load(path, threads=threads, **load)
        return _models[key]

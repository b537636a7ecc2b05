"""One model in memory for one file and its settings, whoever asks for it, as long as somebody holds it."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from ..folders import user_path
from ..model import Belle
from ..process_lock import ModuleLock

_MODELS: WeakValueDictionary[Hashable, Belle] = WeakValueDictionary()
_LOCK = ModuleLock()


def shared_model(path: str | os.PathLike[str], settings: Mapping[str, Any]) -> Belle:
    """The model of a file, loaded as `Belle.load(path, **settings)`, or the one that is in memory already.

    It is another one once the file is, and in a child of fork(). Nobody closes it: it goes with its last user. Raises
    what `Belle.load` raises.
    """
    file = user_path("[model] path", path)
    key = _key(file, settings)
    with _LOCK:  # so that a second thread waits, rather than load the same weights
        model = None if key is None else _MODELS.get(key)
        if model is None:
            model = Belle.load(file, **settings)
            if key is not None:
                _MODELS[key] = model
        return model


def _key(file: Path, settings: Mapping[str, Any]) -> Hashable | None:
    """None for a file that cannot be looked at, which loading explains."""
    try:
        found = file.stat()
    except OSError:
        return None
    written = repr(sorted(settings.items()))
    return os.getpid(), found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size, written

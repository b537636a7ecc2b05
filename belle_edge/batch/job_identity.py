"""What decides the answers of a job, apart from its records: an interrupted one goes on with the same alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._version import __version__
from ..regular_files import open_regular

if TYPE_CHECKING:
    from ..model import Belle

_PIECE_BYTES = 1 << 22


def identity_of(model: Belle, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The model's file by its hash, the engine by all that decides its bits, and the settings. Raises OSError."""
    template = model.chat_format.template or ""
    return {
        "belle_edge": __version__,
        "model": sha256_of(model.path),
        "engine": {
            "backend": model.backend.name,
            "isa": model.details.get("isa"),
            "kv_type": model.details.get("kv_type"),
            "context": model.context,
            "template": hashlib.sha256(template.encode("utf-8", "surrogatepass")).hexdigest()[:16],
        },
        "settings": {name: value for name, value in settings.items() if value is not None},
    }


def sha256_of(path: Path) -> str:
    """The hash of a file's content."""
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()

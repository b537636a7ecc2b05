"""What an evaluation was made with: files by their hashes, the engine by all that decides the bits of an answer."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..._version import __version__
from ...regular_files import open_regular
from ..tasks.documents import data_file
from .evaluation_result import Source
from .evaluation_settings import TaskChoice

if TYPE_CHECKING:
    from ...model import Belle

_PIECE_BYTES = 1 << 22


def source_of(path: Path) -> Source:
    """A file's name and hash."""
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return Source(path.name, digest.hexdigest())


def data_source(choice: TaskChoice) -> Source | None:
    """What a task reads: the user's file, our samples, or a user's YAML file, which names more."""
    if choice.own is not None:
        return source_of(data_file(choice.own.home, None if choice.data is None else str(choice.data)))
    path = Path(choice.name)
    return source_of(path) if path.is_file() else None


def engine_of(model: Belle) -> dict[str, Any]:
    """What decides the bits of an answer, apart from the file."""
    from importlib.metadata import version

    template = model.chat_format.template or ""
    return {
        "belle_edge": __version__,
        "lm_eval": version("lm-eval"),
        "backend": model.backend.name,
        "isa": model.details.get("isa"),
        "kv_type": model.details.get("kv_type"),
        "context": model.context,
        "template": hashlib.sha256(template.encode("utf-8", "surrogatepass")).hexdigest()[:16],
    }

"""A model as the page shows it: what its header says, what it needs, how far its loading is."""

from __future__ import annotations

import math
from functools import lru_cache
from time import perf_counter
from typing import Any

from ..._core import GgufFile
from ...errors import BelleError
from ...languages import msg
from ...memory import InsufficientMemoryError, available_memory, check_memory, required_memory
from ..served_models import ServedModel
from .header_model import HeaderModels
from .page_errors import stored_error
from .page_settings import PageSettings

LIMITS = msg(
    "It may state wrong facts, and now and then write something harmful. It is weak at reasoning and at code. BELLE's "
    "models are meant for research."
)


def model_json(
    served: ServedModel, settings: PageSettings, headers: HeaderModels, *, with_path: bool
) -> dict[str, Any]:
    """with_path: whether the page may know where files lie."""
    loaded = served.belle
    facts = dict(_facts(served.file))
    needs, fits = _memory(served, settings)
    try:
        chat_format = headers.chat_format(served)
        preset, has_template = dict(chat_format.preset), chat_format.template is not None
        family: str | None = chat_format.family
    except (BelleError, ValueError):
        preset, has_template, family = {}, False, None
    free = available_memory()
    return {
        "name": served.name,
        "file": str(served.path) if with_path else served.path.name,
        "bytes": served.file.size_bytes,
        **facts,
        "family": family,
        "limits_text": LIMITS,
        "context": headers.context(served),
        "state": state_of(served),
        "progress": _progress(served),
        "memory_bytes": None if loaded is None else _used(served),
        "needs_bytes": needs,
        "free_bytes": None if free is None else free.n_bytes,
        "fits": True if loaded is not None else fits,
        "error": None if served.error is None else stored_error(served.error),
        "preset": preset,
        "has_template": has_template,
    }


def state_of(served: ServedModel) -> str:
    """idle, loading, loaded or failed."""
    if served.belle is not None:
        return "loaded"
    if served.progress is not None:
        return "loading"
    return "idle" if served.error is None else "failed"


def loading(served: ServedModel) -> tuple[int, int, float | None]:
    """Bytes that are done, all bytes, seconds that are left where that can be told."""
    progress = served.progress
    if progress is None:
        return 0, 0, None
    done, total = progress.done_bytes, progress.total_bytes
    elapsed = perf_counter() - served.load_began
    left = elapsed * (total - done) / done if done and elapsed > 0.3 else None
    return done, total, left


def _progress(served: ServedModel) -> dict[str, Any] | None:
    if served.progress is None:
        return None
    done, total, left = loading(served)
    return {"done": done, "total": total, "seconds_left": left}


def _used(served: ServedModel) -> int:
    assert served.belle is not None
    details = served.belle.details
    return int(details.get("weight_bytes", 0)) + int(details.get("kv_bytes", 0))


def _memory(served: ServedModel, settings: PageSettings) -> tuple[int | None, bool | None]:
    """Bytes that it needs, and whether they are there."""
    try:
        return check_memory(served.file, context=settings.context, kv=settings.kv).total, True
    except InsufficientMemoryError:
        return required_memory(served.file, context=settings.context, kv=settings.kv).total, False
    except (BelleError, OSError, ValueError):
        return None, None


@lru_cache(maxsize=64)
def _facts(file: GgufFile) -> dict[str, Any]:
    """What never changes while the file is open."""
    from gguf import LlamaFileType

    number = file.get("general.file_type")
    names = {int(kind): kind.name for kind in LlamaFileType}
    kind = names.get(number) if isinstance(number, int) else None
    licence = file.get("general.license")
    link = file.get("general.license.link")
    name = file.get("general.license.name")
    return {
        "type": None if kind is None else kind.removeprefix("ALL_").removeprefix("MOSTLY_"),
        "architecture": _text(file.get("general.architecture")),
        "title": _text(file.get("general.name")),
        "parameters": sum(math.prod(tensor.shape) for tensor in file.tensors()),
        "licence": _text(name) or _text(licence),
        "licence_link": link if isinstance(link, str) and link.startswith("https://") else None,
    }


def _text(value: object) -> str | None:
    return value[:200] if isinstance(value, str) and value else None

"""Engines behind one protocol; each module here is imported only when it is asked for."""

from __future__ import annotations

import warnings
from pathlib import Path

from ..errors import RewrittenFileWarning
from .base import Backend

BACKENDS = ("native", "llama.cpp")


def open_backend(
    name: str,
    path: Path,
    *,
    threads: int | None,
    kv: str,
    isa: str | None,
    context: int | None = None,
) -> Backend:
    """Load `path` with the named backend.

    context: most tokens of one sequence, for engines that allocate their cache at load; None = as trained.
    ValueError for an unknown name, or a setting that the backend does not have; else what the backend raises. Warns
    once of a file that another program changed since the converter wrote it.
    """
    backend = _open(name, path, threads=threads, kv=kv, isa=isa, context=context)
    changes = getattr(backend.metadata, "rewritten", None)
    if changes is not None:
        checked = getattr(backend.metadata, "checksums", None) is not None
        warnings.warn(
            f"[model] {path.name}: another program changed it since belle-edge wrote it ({changes}); its weights"
            f" {'match their checksums' if checked else 'have no checksums now'}",
            RewrittenFileWarning,
            stacklevel=3,
        )
    return backend


def _open(
    name: str, path: Path, *, threads: int | None, kv: str, isa: str | None, context: int | None
) -> Backend:
    if name == "native":
        from .native import NativeBackend

        return NativeBackend(path, threads=threads, kv=kv, isa=isa)
    if name == "llama.cpp":
        from .llama_cpp import LlamaCppBackend

        if isa is not None:
            raise ValueError("[model] isa is a setting of the native engine: llama.cpp chooses for itself")
        return LlamaCppBackend(path, threads=threads, context=context, kv=kv)
    raise ValueError(f"[model] unknown backend '{name}' (known: {', '.join(BACKENDS)})")

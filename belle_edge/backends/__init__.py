"""Engines behind one protocol; each module here is imported only when it is asked for."""

from __future__ import annotations

from pathlib import Path

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
    ValueError for an unknown name, or a setting that the backend does not have; else what the backend raises.
    """
    if name == "native":
        from .native import NativeBackend

        return NativeBackend(path, threads=threads, kv=kv, isa=isa)
    if name == "llama.cpp":
        from .llama_cpp import LlamaCppBackend

        if isa is not None:
            raise ValueError("[model] isa is a setting of the native engine: llama.cpp chooses for itself")
        return LlamaCppBackend(path, threads=threads, context=context, kv=kv)
    raise ValueError(f"[model] unknown backend '{name}' (known: {', '.join(BACKENDS)})")

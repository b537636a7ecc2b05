"""Engines behind one protocol; each module here is imported only when it is asked for."""

from __future__ import annotations

from pathlib import Path

from .base import Backend

BACKENDS = ("native",)


def open_backend(name: str, path: Path, *, threads: int | None, kv: str, isa: str | None) -> Backend:
    """Load `path` with the named backend. ValueError for an unknown name; else what the backend raises."""
    if name == "native":
        from .native import NativeBackend

        return NativeBackend(path, threads=threads, kv=kv, isa=isa)
    raise ValueError(f"[model] unknown backend '{name}' (known: {', '.join(BACKENDS)})")

"""Engines behind one protocol; each module here is imported only when it is asked for."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import RewrittenFileWarning
from .base import Backend

if TYPE_CHECKING:
    from .._core import GgufFile, LoadProgress
    from .model_file import ModelFile

BACKENDS = ("native", "llama.cpp")


def open_backend(
    name: str,
    file: ModelFile,
    *,
    threads: int | None,
    kv: str,
    isa: str | None,
    context: int | None = None,
    progress: LoadProgress | None = None,
    rpc_servers: Sequence[str] = (),
) -> Backend:
    """Load `file` with the named backend.

    context: most tokens of one sequence, for engines that allocate their cache at load; None = as trained. progress:
    says meanwhile how far it is, to other threads, where the engine tells. rpc_servers: of llama.cpp.
    ValueError for an unknown name, or a setting that the backend does not have; else what the backend raises. Warns
    once of a file that another program changed since the converter wrote it.
    """
    from .model_file import opened

    gguf = opened(file)
    backend = _open(
        name,
        gguf,
        threads=threads,
        kv=kv,
        isa=isa,
        context=context,
        progress=progress,
        rpc_servers=rpc_servers,
    )
    if gguf.rewritten is not None:
        warnings.warn(
            f"[model] {Path(gguf.path).name}: another program changed it since belle-edge wrote it "
            f"({gguf.rewritten}); its weights "
            f"{'match their checksums' if gguf.checksums is not None else 'have no checksums now'}",
            RewrittenFileWarning,
            stacklevel=3,
        )
    return backend


def _open(
    name: str,
    file: GgufFile,
    *,
    threads: int | None,
    kv: str,
    isa: str | None,
    context: int | None,
    progress: LoadProgress | None,
    rpc_servers: Sequence[str],
) -> Backend:
    if name == "native":
        if rpc_servers:
            raise ValueError("[model] rpc_servers: they need backend='llama.cpp'")
        from .native import NativeBackend

        return NativeBackend(file, threads=threads, kv=kv, isa=isa, progress=progress)
    if name == "llama.cpp":
        from .llama_cpp import LlamaCppBackend

        if isa is not None:
            raise ValueError("[model] isa is a setting of the native engine: llama.cpp chooses for itself")
        return LlamaCppBackend(file, threads=threads, context=context, kv=kv, rpc_servers=rpc_servers)
    raise ValueError(f"[model] unknown backend '{name}' (known: {', '.join(BACKENDS)})")

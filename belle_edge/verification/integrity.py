"""The structure of a GGUF file, and its bytes against the checksums that the converter wrote into it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from ..folders import user_path
from ..settings import threads_or_all

ProgressCallback = Callable[[int, int], object]  # (bytes done, bytes in all)


@dataclass(frozen=True)
class FileReport:
    """What was checked of a sound file."""

    file: str
    size_bytes: int
    gguf_version: int
    n_metadata: int
    n_tensors: int
    header_bytes: int
    algorithm: str | None  # of the checksums; None: the file has none
    chunk_bytes: int
    n_chunks: int  # whose checksums were compared
    n_parts: int = 1  # files of the model, which are all counted here
    rewritten: str | None = None  # what another program changed since belle-edge wrote the file

    @property
    def verified(self) -> bool:
        """Whether every byte was compared, of a rewritten file that of the weights, rather than the structure alone."""
        return self.algorithm is not None

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary of all of it."""
        return {**asdict(self), "verified": self.verified}


def verify_file(
    path: str | os.PathLike[str], *, threads: int | None = None, progress: ProgressCallback | None = None
) -> FileReport:
    """Check the structure, the header and every chunk of the data section.

    threads: None = every processor this process may use.
    Raises ModelFormatError, which names the file, the place and what to do, for a file that is not sound; OSError;
    and ValueError for a folder.
    """
    from .. import _core

    n_threads = threads_or_all("[verify] threads", 0 if threads is None else threads)
    path = user_path("[verify] path", path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder: expected a GGUF file")
    if not path.exists():
        raise FileNotFoundError(f"no such file: {path}")
    file = _core.GgufFile(str(path))  # checks the structure, and the header's checksum
    file.verify_data(threads=n_threads, progress=progress)
    checksums = file.checksums
    return FileReport(
        file=path.name,
        size_bytes=file.size_bytes,
        gguf_version=file.version,
        n_metadata=len(file.keys()),
        n_tensors=len(file.tensors()),
        header_bytes=file.data_offset,
        algorithm=checksums["algorithm"] if checksums else None,
        chunk_bytes=checksums["chunk_bytes"] if checksums else 0,
        n_chunks=checksums["n_chunks"] if checksums else 0,
        n_parts=len(file.parts),
        rewritten=file.rewritten,
    )

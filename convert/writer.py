"""Writes a GGUF, header then tensors, under a partial name that becomes the target when it is complete.

The header's checksums are filled in at the end, when every byte of the data has been hashed on its way out.
"""

from __future__ import annotations

import errno
import os
import shutil
import struct
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import gguf
import numpy as np

from belle_edge.convert.architectures.base import Metadata, MetadataValue
from belle_edge.convert.checksums import N_ENTRIES, ChunkHashes, empty_entries, filled_in
from belle_edge.errors import ConversionError

ALIGNMENT = gguf.GGUF_DEFAULT_ALIGNMENT
_ENTRY_COUNT_AT = 16  # after magic, version and tensor count
_NO_SPACE = "free some space, or write to another disk"
_NOT_ALLOWED = "choose a folder that you may write to"
_REMEDIES = {
    errno.ENOSPC: _NO_SPACE,
    errno.EDQUOT: _NO_SPACE,
    errno.EFBIG: "this file system, or a limit (ulimit -f), allows no file so large",
    errno.EACCES: _NOT_ALLOWED,
    errno.EPERM: _NOT_ALLOWED,
    errno.EROFS: _NOT_ALLOWED,
}


class FileTensor(Protocol):
    """What a header says about a tensor."""

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def ggml_id(self) -> int: ...
    @property
    def n_bytes(self) -> int: ...


@dataclass(frozen=True)
class Header:
    """Everything before the tensor data, padded to the alignment; its checksums are zero."""

    content: bytes
    metadata_end: int  # where the checksums' entries end and the list of tensors begins
    n_data_bytes: int  # of the tensors and their padding, which follow

    @property
    def file_bytes(self) -> int:
        """Exact size of the finished file."""
        return len(self.content) + self.n_data_bytes


def build_header(architecture: str, metadata: Metadata, tensors: Sequence[FileTensor]) -> Header:
    """The header as the gguf package writes it, with room for the checksums at the end of its metadata."""
    with tempfile.TemporaryDirectory(prefix="belle-edge-") as folder:
        path = Path(folder) / "header.gguf"
        writer = gguf.GGUFWriter(path, architecture)
        for key, value in metadata.items():
            if value != "" and value != []:
                writer.add_key_value(key, value, _value_type(value))
        for tensor in tensors:
            writer.add_tensor_info(
                tensor.name,
                tensor.shape,
                np.dtype(np.float32),
                tensor.n_bytes,
                raw_dtype=gguf.GGMLQuantizationType(tensor.ggml_id),
            )
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        n_before = path.stat().st_size
        writer.write_ti_data_to_file()
        writer.close()
        written = path.read_bytes()
    n_data_bytes = sum(tensor.n_bytes + padding(tensor.n_bytes) for tensor in tensors)
    before = bytearray(written[:n_before])
    (n_entries,) = struct.unpack_from("<Q", before, _ENTRY_COUNT_AT)
    struct.pack_into("<Q", before, _ENTRY_COUNT_AT, n_entries + N_ENTRIES)
    before += empty_entries(n_data_bytes)
    content = bytes(before) + written[n_before:]
    return Header(content + bytes(padding(len(content))), len(before), n_data_bytes)


def padding(n_bytes: int) -> int:
    """Bytes missing to the next aligned offset."""
    return -n_bytes % ALIGNMENT


class ModelFile:
    """A GGUF being written: the header at once, then its data in order, then `finish`."""

    def __init__(self, file: IO[bytes], header: Header) -> None:
        """file: unbuffered, empty."""
        self._file, self._header, self._hashes = file, header, ChunkHashes()
        write_all(file, header.content)

    def write(self, data: bytes | memoryview) -> None:
        """Append tensor data or padding."""
        self._hashes.update(data)
        write_all(self._file, data)

    def finish(self) -> None:
        """Fill the checksums in."""
        header = self._header
        self._file.seek(0)
        write_all(
            self._file,
            filled_in(header.content, metadata_end=header.metadata_end, data_hashes=self._hashes.finish()),
        )


def check_target(path: Path, *, force: bool) -> None:
    """ConversionError unless `path` can be the output: its folder exists, it is free or `force` is given."""
    if path.is_dir():
        raise ConversionError(f"[{path}] expected a file name for the output, got a folder")
    if path.exists() and not path.is_file():
        raise ConversionError(f"[{path}] expected a regular file for the output, got a device or pipe")
    if not path.parent.is_dir():
        raise ConversionError(f"[{path}] the folder for the output does not exist")
    if path.exists() and not force:
        raise ConversionError(f"[{path}] exists already; --force (force=True) overwrites it")


def check_free_space(path: Path, n_bytes: int) -> None:
    """ConversionError if less than `n_bytes` are free at `path` (a stale partial file counts as free)."""
    partial = partial_path(path)
    reclaimed = partial.stat().st_size if partial.is_file() else 0
    free = shutil.disk_usage(path.parent).free + reclaimed
    if free < n_bytes:
        raise ConversionError(f"[{path}] needs {n_bytes:,} bytes of disk space, {free:,} are free")


def partial_path(path: Path) -> Path:
    """The name that holds the file until it is complete."""
    return path.with_name(path.name + ".part")


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that appears at `path` only when the block ends without an error; synced first, else removed.

    Raises ConversionError when another process is writing the same target, and OSError, naming `path`, when the
    system refuses to create or write the file.
    """
    partial = partial_path(path)
    try:
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    except OSError as error:
        raise _with_remedy(error, path) from error
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        _lock(file, path)
        if not _is_same_file(file, partial):  # its writer finished between our open and our lock
            raise ConversionError(f"[{path}] another conversion has just written this file")
        try:
            file.truncate(0)
            yield file
            os.fsync(file.fileno())
            os.replace(partial, path)
        except BaseException as error:
            partial.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.errno in _REMEDIES:
                raise _with_remedy(error, path) from error
            raise
    _sync_folder(path.parent)


def write_all(file: IO[bytes], data: bytes | memoryview) -> None:
    """Write every byte; an unbuffered file may take only part of them at a time."""
    view = memoryview(data).cast("B")
    while view:
        view = view[file.write(view) :]


def _with_remedy(error: OSError, path: Path) -> OSError:
    """The same error, with the target's name and what to do."""
    text = f"{error.strerror}; nothing was written"
    remedy = _REMEDIES.get(error.errno or 0)
    return OSError(error.errno, f"{text}: {remedy}" if remedy else text, str(path))


def _lock(file: IO[bytes], path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # no such locks on this system
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise ConversionError(f"[{path}] another conversion is writing this file") from None


def _is_same_file(file: IO[bytes], path: Path) -> bool:
    return path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat())


def _sync_folder(folder: Path) -> None:
    """Make a rename durable where folders can be synced."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _value_type(value: MetadataValue) -> gguf.GGUFValueType:
    if isinstance(value, bool):
        return gguf.GGUFValueType.BOOL
    if isinstance(value, int):
        return gguf.GGUFValueType.UINT32
    if isinstance(value, float):
        return gguf.GGUFValueType.FLOAT32
    if isinstance(value, str):
        return gguf.GGUFValueType.STRING
    return gguf.GGUFValueType.ARRAY

"""The bytes of one weight file, wherever they come from: read by range, and as a pass from front to back."""

from __future__ import annotations

import io
import mmap
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from belle_edge.errors import ConversionError
from belle_edge.regular_files import open_regular


class WeightFile(Protocol):
    """A file, or the files of one model, under a plain file name.

    A conversion reads it once from front to back, between `begin_pass` and `end_pass`, so that a source with a hash can
    check it on the way.
    """

    @property
    def name(self) -> str: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def stamp(self) -> str:
        """Changes when the file does: what an interrupted conversion is recognised by."""

    @property
    def is_hashed(self) -> bool:
        """Whether a pass compares the whole file with a published hash."""

    def begin_pass(self) -> None: ...
    def end_pass(self) -> None:
        """ConversionError if the bytes of the whole file are not those that were published."""


class ByteSource(WeightFile, Protocol):
    """Plain (decrypted) bytes, which are read at any place, in a pass and outside of one."""

    def read(self, offset: int, n_bytes: int) -> NDArray[np.uint8]:
        """Bytes offset … offset + n_bytes, not to be written to. ConversionError where the file ends before."""


class MappedBytes:
    """A file on disk, memory-mapped: reading costs no memory of our own."""

    is_hashed = False

    def __init__(self, path: Path) -> None:
        """Raises OSError. The file must not be empty (see files.check_real)."""
        status = path.stat()
        self.name, self.size_bytes = path.name, status.st_size
        self.stamp = f"{path.name} {status.st_size} {status.st_mtime_ns}"
        with open_regular(path) as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._data: NDArray[np.uint8] = np.frombuffer(self._map, dtype=np.uint8)

    def read(self, offset: int, n_bytes: int) -> NDArray[np.uint8]:
        """A view. Left to itself the system reads ahead well; asking for whole blocks (MADV_WILLNEED) was slower."""
        if offset < 0 or offset + n_bytes > self.size_bytes:
            raise cut_off(self.name, offset + n_bytes, self.size_bytes)
        return self._data[offset : offset + n_bytes]

    def begin_pass(self) -> None:
        """Nothing to check: published files that are not encrypted carry no hash."""

    def end_pass(self) -> None:
        """See begin_pass."""


class SourceStream(io.RawIOBase):
    """A ByteSource as a file object, for readers that want one."""

    def __init__(self, source: ByteSource) -> None:
        self._source, self._position = source, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._source.size_bytes}[whence]
        if start + offset < 0:
            raise ValueError(f"seek to {start + offset}")
        self._position = start + offset
        return self._position

    def read(self, size: int | None = -1, /) -> bytes:
        """At most what the file has: a damaged length must not cost memory."""
        left = max(0, self._source.size_bytes - self._position)
        n_bytes = left if size is None or size < 0 else min(size, left)
        data = self._source.read(self._position, n_bytes).tobytes()
        self._position += n_bytes
        return data


def cut_off(name: str, end: int, size_bytes: int) -> ConversionError:
    """The error for a range that a file does not have."""
    return ConversionError(
        f"[{name}] expected data up to byte {end}, the file ends at {size_bytes}: it is cut off, download it again"
    )

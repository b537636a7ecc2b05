"""Writes a GGUF: tensors at their places, in any order, and at the end the header with the checksums of all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import IO, Protocol

import gguf

from belle_edge.convert.architectures.mapped_model import MetadataValue
from belle_edge.convert.checksum_entries import (
    N_ENTRIES,
    ChunkHashes,
    empty_entries,
    entry_hashes,
    filled_in,
)
from belle_edge.convert.header_encoding import EncodedValue, encode_entry, encode_start, encode_tensor_info

ALIGNMENT = gguf.GGUF_DEFAULT_ALIGNMENT


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
    offsets: tuple[int, ...] = ()  # of each tensor in the data section

    @property
    def file_bytes(self) -> int:
        """Exact size of the finished file."""
        return len(self.content) + self.n_data_bytes


def build_header(
    architecture: str, metadata: Mapping[str, MetadataValue | EncodedValue], tensors: Sequence[FileTensor]
) -> Header:
    """The header, with room for the checksums at the end of its metadata."""
    sizes = [tensor.n_bytes + padding(tensor.n_bytes) for tensor in tensors]
    offsets = (0, *accumulate(sizes))
    entries = {"general.architecture": architecture, **metadata}
    written = [encode_entry(key, value) for key, value in entries.items() if value not in ("", [])]
    infos = [
        encode_tensor_info(tensor.name, tensor.shape, tensor.ggml_id, offset)
        for tensor, offset in zip(tensors, offsets, strict=False)
    ]
    start = encode_start(n_tensors=len(tensors), n_entries=len(written) + 1 + N_ENTRIES)
    before = start + b"".join(written) + entry_hashes(written, infos) + empty_entries(offsets[-1])
    content = before + b"".join(infos)
    return Header(content + bytes(padding(len(content))), len(before), offsets[-1], offsets[:-1])


def padding(n_bytes: int) -> int:
    """Bytes missing to the next aligned offset."""
    return -n_bytes % ALIGNMENT


class ModelFile:
    """A GGUF being written: its tensors in any order, then `finish`, which writes the header.

    Until then the file starts with zeros, so nobody takes it for a GGUF.
    """

    def __init__(self, file: IO[bytes], header: Header) -> None:
        """file: unbuffered, for reading and writing; what it holds already stays (it is set to its final size)."""
        self._file, self._header = file, header
        self._hashes = ChunkHashes(header.n_data_bytes)
        file.truncate(header.file_bytes)

    def write_at(self, offset: int, data: bytes | memoryview) -> None:
        """Write tensor data at an offset of the data section. Padding need not be written."""
        self._hashes.update(offset, data)
        self._file.seek(len(self._header.content) + offset)
        write_all(self._file, data)

    def finish(self, header: Header | None = None) -> None:
        """Write the header, with the checksums of all data.

        header: in place of the one given before, and as long: its values may differ.
        """
        header = header or self._header
        assert len(header.content) == len(self._header.content)
        hashes = self._hashes.finish(self.read)
        self._file.seek(0)
        write_all(self._file, filled_in(header.content, metadata_end=header.metadata_end, data_hashes=hashes))

    def read(self, offset: int, n_bytes: int) -> bytes:
        """Bytes at an offset of the data section, as they were written."""
        self._file.seek(len(self._header.content) + offset)
        data = b""
        while len(data) < n_bytes and (piece := self._file.read(n_bytes - len(data))):
            data += piece
        return data


def write_all(file: IO[bytes], data: bytes | memoryview) -> None:
    """Write every byte; an unbuffered file may take only part of them at a time."""
    view = memoryview(data).cast("B")
    while view:
        view = view[file.write(view) :]

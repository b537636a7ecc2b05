"""Checksums for files that the gguf package wrote, and anew for files that a test changed on purpose."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import gguf

from belle_edge._core import ENTRY_HASHES_KEY
from belle_edge.convert.checksum_entries import (
    N_ENTRIES,
    ChunkHashes,
    empty_entries,
    entry_hashes,
    filled_in,
)
from belle_edge.convert.gguf_writer import Header, ModelFile, padding

COPY_BYTES = 16 << 20


def metadata_end(reader: gguf.GGUFReader) -> int:
    """Where the last metadata entry ends."""
    return end_of(list(reader.fields.values())[-1])


def end_of(field: gguf.ReaderField) -> int:
    return int(field.offset + sum(part.nbytes for part in field.parts))


def add_checksums(source: Path, target: Path) -> Path:
    """A copy with checksums, as the converter writes them. The alignment must be the usual one."""
    reader = gguf.GGUFReader(source)
    end, data_offset = metadata_end(reader), int(reader.data_offset)
    n_data_bytes = source.stat().st_size - data_offset
    with source.open("rb") as old, target.open("w+b", buffering=0) as new:
        content = bytearray(old.read(end))
        struct.pack_into("<Q", content, 16, struct.unpack_from("<Q", content, 16)[0] + N_ENTRIES)
        content += empty_entries(n_data_bytes)
        new_end = len(content)
        content += old.read(end_of(reader.tensors[-1].field) - end)
        content += bytes(padding(len(content)))
        file = ModelFile(new, Header(bytes(content), new_end, n_data_bytes))
        old.seek(data_offset)
        for offset in range(0, n_data_bytes, COPY_BYTES):
            file.write_at(offset, old.read(COPY_BYTES))
        file.finish()
    return target


def with_checksums(path: Path) -> Path:
    """The same path, with checksums from now on."""
    os.replace(add_checksums(path, path.with_name(f"{path.name}.part")), path)
    return path


def renew_checksums(path: Path) -> Path:
    """Make the checksums of a changed file true again, in place."""
    reader = gguf.GGUFReader(path)
    end, data_offset = metadata_end(reader), int(reader.data_offset)
    data = path.read_bytes()
    hashes = ChunkHashes(len(data) - data_offset)
    hashes.update(0, data[data_offset:])
    header = bytearray(data[:data_offset])
    renew_entry_hashes(reader, header)
    header[end - 8 : end] = bytes(8)
    path.write_bytes(
        filled_in(bytes(header), metadata_end=end, data_hashes=hashes.finish(lambda offset, n_bytes: b""))
        + data[data_offset:]
    )
    return path


def renew_entry_hashes(reader: gguf.GGUFReader, header: bytearray) -> None:
    """In `header`, where it has them."""
    if ENTRY_HASHES_KEY not in reader.fields:
        return

    def bytes_of(field: gguf.ReaderField) -> bytes:
        return bytes(header[field.offset : end_of(field)])

    names = [name for name in reader.fields if not name.startswith("GGUF.")]
    entries = [bytes_of(reader.fields[name]) for name in names[: names.index(ENTRY_HASHES_KEY)]]
    own = reader.fields[ENTRY_HASHES_KEY]
    renewed = entry_hashes(entries, [bytes_of(tensor.field) for tensor in reader.tensors])
    assert len(renewed) == end_of(own) - own.offset
    header[own.offset : end_of(own)] = renewed

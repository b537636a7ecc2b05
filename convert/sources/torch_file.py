"""Reads PyTorch's .bin, .pt and .pth files without torch: where each tensor lies, nothing of its values.

Two layouts: since torch 1.6 a zip archive (data.pkl and one uncompressed entry per storage), before it a sequence of
pickles followed by the storages (torch/serialization.py, `_save` and `_legacy_save`).
"""

from __future__ import annotations

import lzma
import pickle
import struct
import zipfile
import zlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from belle_edge.convert.sources.byte_source import ByteSource, SourceStream
from belle_edge.convert.sources.source_tensors import ELEMENT_TYPES, SourceTensor, StoredTensor
from belle_edge.convert.sources.torch_pickle import PickledTensor, Storage, load_pickle
from belle_edge.errors import ConversionError

_ZIP_START = b"PK\x03\x04"
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_VERSION = 1001
_MAX_PICKLE_BYTES = 1 << 28  # descriptions of tensors; far above any real checkpoint's
_LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, then the lengths of the name and of the extra field
_DAMAGE = (  # what zipfile, its decompressors and the pickle reader raise for damaged bytes
    EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, MemoryError, RecursionError,
    RuntimeError, NotImplementedError, OSError, struct.error, zipfile.BadZipFile, zlib.error, lzma.LZMAError,
)  # fmt: skip


@dataclass(frozen=True)
class _Contents:
    """What the file describes, and where the bytes of each storage lie."""

    state: Any
    storages: dict[str, tuple[int, int]]  # key → (offset, bytes)


def open_torch_file(source: ByteSource) -> dict[str, SourceTensor]:
    """Every tensor of a file by name.

    Raises ConversionError for a damaged or truncated file, one in another format (TorchScript, tar), and one that holds
    more than tensors and plain containers.
    """
    start = source.read(0, min(len(_ZIP_START), source.size_bytes)).tobytes()
    try:
        contents = _read_zip(source) if start == _ZIP_START else _read_legacy(source)
    except pickle.UnpicklingError as error:
        raise ConversionError(
            f"[{source.name}] refused: it holds more than tensors, and code from a checkpoint is never run ({error})"
        ) from None
    except _DAMAGE as error:
        raise ConversionError(
            f"[{source.name}] not a complete PyTorch checkpoint: cut off or damaged, download it again"
            f" ({_first_line(error)})"
        ) from None
    return {
        name: _located(source, name, value, contents) for name, value in _state_dict(source, contents.state)
    }


def _read_zip(source: ByteSource) -> _Contents:
    with zipfile.ZipFile(SourceStream(source)) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        pickles = [name for name in entries if name.endswith("/data.pkl") or name == "data.pkl"]
        if any(name.endswith("/constants.pkl") for name in entries):
            raise ConversionError(
                f"[{source.name}] a TorchScript program, not a checkpoint: its state dict is needed"
            )
        if len(pickles) != 1:
            raise ConversionError(f"[{source.name}] a zip archive, but not one that torch.save wrote")
        root = pickles[0].removesuffix("data.pkl")
        order = _byte_order(archive, f"{root}byteorder") if f"{root}byteorder" in entries else b"little"
        if order != b"little":
            raise ConversionError(f"[{source.name}] written on a big-endian machine, which is not read")
        # What torch writes is not compressed, so no entry is longer than the file.
        if entries[pickles[0]].file_size > min(_MAX_PICKLE_BYTES, source.size_bytes):
            raise ConversionError(
                f"[{source.name}] damaged: {entries[pickles[0]].file_size} bytes describe its tensors"
            )
        with archive.open(pickles[0]) as file:
            state = load_pickle(file)
    folder = f"{root}data/"
    storages = {
        name.removeprefix(folder): (_data_offset(source, entry), entry.file_size)
        for name, entry in entries.items()
        if name.startswith(folder) and entry.compress_type == zipfile.ZIP_STORED
    }
    return _Contents(state, storages)


def _byte_order(archive: zipfile.ZipFile, name: str) -> bytes:
    """The start of the entry that says so: one that is compressed may be as long as it likes."""
    with archive.open(name) as file:
        return file.read(16)


def _data_offset(source: ByteSource, entry: zipfile.ZipInfo) -> int:
    """Where an uncompressed entry's bytes start: after its local header, whose padding differs from the directory's."""
    header = source.read(entry.header_offset, _LOCAL_HEADER.size).tobytes()
    signature, n_name, n_extra = _LOCAL_HEADER.unpack(header)
    if signature != _ZIP_START:
        raise zipfile.BadZipFile(f"no entry at {entry.header_offset}")
    return entry.header_offset + _LOCAL_HEADER.size + int(n_name) + int(n_extra)


def _read_legacy(source: ByteSource) -> _Contents:
    file = SourceStream(source)
    try:
        magic, version = load_pickle(file), load_pickle(file)
    except pickle.UnpicklingError:
        magic, version = None, None
    if (magic, version) != (_LEGACY_MAGIC, _LEGACY_VERSION):
        raise ConversionError(
            f"[{source.name}] not a PyTorch checkpoint: neither a zip archive nor torch's older layout"
            " (cut off at its start, or another kind of file?)"
        )
    load_pickle(file)  # sizes of integers on the machine that wrote it
    state, keys = load_pickle(file), load_pickle(file)
    item_bytes = {
        tensor.storage.key: np.dtype(ELEMENT_TYPES[tensor.storage.dtype]).itemsize
        for tensor in _tensors(state)
    }
    storages, offset = {}, file.tell()
    for key in keys:
        (n_values,) = struct.unpack("<q", source.read(offset, 8).tobytes())
        n_bytes = n_values * item_bytes.get(str(key), 1)
        storages[str(key)] = (offset + 8, n_bytes)
        offset += 8 + n_bytes
    return _Contents(state, storages)


def _tensors(state: Any) -> list[PickledTensor]:
    """All tensors in nested containers; a loop over the containers, which may be nested deeply."""
    found, waiting, seen = [], [state], set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, PickledTensor):
            found.append(value)
        elif isinstance(value, dict | list | tuple | set) and id(value) not in seen:
            seen.add(id(value))
            waiting += list(value.values()) if isinstance(value, dict) else list(value)
    return found


def _state_dict(source: ByteSource, state: Any) -> list[tuple[str, PickledTensor]]:
    """The tensors by name, also when a training framework wrapped the mapping once."""
    for wrapper in ("state_dict", "module", "model"):
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise ConversionError(
            f"[{source.name}] expected a state dict of named tensors, found {type(state).__name__}"
        )
    return [(name, value) for name, value in state.items() if isinstance(value, PickledTensor)]


def _located(source: ByteSource, name: str, tensor: PickledTensor, contents: _Contents) -> SourceTensor:
    storage: Storage = tensor.storage
    if storage.key not in contents.storages:
        raise ConversionError(f"[{source.name}] {name}: its storage {storage.key} is missing or compressed")
    start, n_storage_bytes = contents.storages[storage.key]
    item_bytes = np.dtype(ELEMENT_TYPES[storage.dtype]).itemsize
    located = StoredTensor(
        name=name,
        source=source,
        dtype=storage.dtype,
        shape=tensor.shape,
        offset=start + tensor.offset * item_bytes,
        strides=None if _is_contiguous(tensor) else tensor.strides,
    )
    if tensor.offset * item_bytes + located.span_bytes > n_storage_bytes:
        raise ConversionError(
            f"[{source.name}] {name}: larger than its storage; the file is damaged, download it again"
        )
    located.check_inside()
    if not tensor.readable:
        return replace(located, dtype="unreadable")
    if located.n_bytes > n_storage_bytes:  # strides that come back to the same values: no limit to its size
        return replace(located, dtype="expanded")
    return located


def _is_contiguous(tensor: PickledTensor) -> bool:
    expected = 1
    for length, stride in zip(reversed(tensor.shape), reversed(tensor.strides), strict=True):
        if length != 1 and stride != expected:
            return False
        expected *= length
    return True


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)

"""Reads llama.cpp's files from before GGUF: `ggml`, `ggmf` v1 and `ggjt` v1 to v3, a LLaMA and its vocabulary in one.

After the magic number (and a version, from ggmf on) come seven integers, the vocabulary, and the tensors one after
another, each with a header of its own; nothing says how many there are.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from belle_edge._core import BLOCK_SIZE
from belle_edge.convert.sources.byte_source import ByteSource
from belle_edge.errors import ConversionError


@dataclass(frozen=True)
class GgmlFormat:
    """What changed between the versions."""

    name: str
    has_scores: bool = True  # of tokens
    alignment: int = 32  # of a tensor's data, in bytes from the start of the file
    scale_bytes: int = 4  # of each scale of a block; 2: half precision
    neighbours_share_byte: bool = True  # 4-bit codes 2i and 2i + 1; else i and i + 16, as in GGUF


_UNVERSIONED, _GGMF, _GGJT = 0x67676D6C, 0x67676D66, 0x67676A74
_FORMATS: Mapping[int, Mapping[int, GgmlFormat]] = {
    _UNVERSIONED: {0: GgmlFormat("ggml", has_scores=False, alignment=1)},
    _GGMF: {1: GgmlFormat("ggmf v1", alignment=1)},
    _GGJT: {
        1: GgmlFormat("ggjt v1"),
        2: GgmlFormat("ggjt v2", neighbours_share_byte=False),
        3: GgmlFormat("ggjt v3", neighbours_share_byte=False, scale_bytes=2),
    },
}
MAGIC_BYTES = 4
BLOCK = BLOCK_SIZE  # values; GGUF kept it
# Type in a tensor's header → (name, bytes of codes per block, scales per block).
_QUANTIZED: Mapping[int, tuple[str, int, int]] = {
    2: ("q4_0", 16, 1),
    3: ("q4_1", 16, 2),
    8: ("q8_0", 32, 1),
}
_FLOATS: Mapping[int, tuple[str, int]] = {0: ("f32", 4), 1: ("f16", 2)}
_REFUSED: Mapping[int, str] = {
    4: "q4_2", 5: "q4_3", 6: "q5_0", 7: "q5_1", 9: "q8_1", 10: "q2_K", 11: "q3_K", 12: "q4_K", 13: "q5_K", 14: "q6_K",
    15: "q8_K",
}  # fmt: skip
_MAX_NAME_BYTES = 256
_MAX_TOKEN_BYTES = 1 << 16  # far above every token; keeps a damaged length from reading gigabytes


@dataclass(frozen=True)
class GgmlHeader:
    """The seven integers."""

    n_vocab: int
    n_embd: int
    n_mult: int
    n_head: int
    n_layer: int
    n_rot: int
    ftype: int


@dataclass(frozen=True)
class GgmlEntry:
    """A tensor, its data not read. The shape is in the order of arrays: rows first."""

    name: str
    type: str
    shape: tuple[int, ...]
    offset: int
    n_bytes: int


@dataclass(frozen=True)
class GgmlFile:
    """All that a file says but the values of its tensors."""

    format: GgmlFormat
    header: GgmlHeader
    tokens: list[bytes]
    scores: list[float] | None
    tensors: list[GgmlEntry]


def has_ggml_magic(start: bytes) -> bool:
    """Whether a file that starts with these bytes (4 or more) is one of these."""
    return len(start) >= MAGIC_BYTES and int.from_bytes(start[:MAGIC_BYTES], "little") in _FORMATS


def read_ggml(source: ByteSource) -> GgmlFile:
    """Read everything but the values. ConversionError, with the place, for what is damaged, cut off or not LLaMA."""
    cursor = _Cursor(source)
    ggml_format = _read_format(cursor)
    header = _read_header(cursor)
    tokens, scores = _read_vocabulary(cursor, header.n_vocab, has_scores=ggml_format.has_scores)
    tensors: dict[str, GgmlEntry] = {}
    while cursor.offset < source.size_bytes:
        start = cursor.offset
        entry = _read_tensor(cursor, ggml_format)
        if entry.name in tensors:
            raise cursor.damaged(start, f"{entry.name} comes twice")
        tensors[entry.name] = entry
    return GgmlFile(ggml_format, header, tokens, scores, list(tensors.values()))


class _Cursor:
    """A place in the file that moves as it is read, never beyond the end."""

    def __init__(self, source: ByteSource) -> None:
        self._source, self.offset = source, 0

    def skip(self, n_bytes: int, what: str) -> int:
        """Where the next n_bytes start; ConversionError if the file ends before they do."""
        start, end = self.offset, self.offset + n_bytes
        if end > self._source.size_bytes:
            raise ConversionError(
                f"[{self._source.name}] {what} at byte {start}: expected data up to byte {end}, the file ends at"
                f" {self._source.size_bytes}: it is cut off or damaged, download it again"
            )
        self.offset = end
        return start

    def bytes(self, n_bytes: int, what: str) -> bytes:
        return self._source.read(self.skip(n_bytes, what), n_bytes).tobytes()

    def integers(self, count: int, what: str) -> tuple[int, ...]:
        return struct.unpack(f"<{count}I", self.bytes(4 * count, what))

    def damaged(self, offset: int, what: str) -> ConversionError:
        return ConversionError(
            f"[{self._source.name}] at byte {offset}: {what}; the file is damaged, download it again"
        )

    def refused(self, what: str) -> ConversionError:
        return ConversionError(f"[{self._source.name}] {what}")


def _read_format(cursor: _Cursor) -> GgmlFormat:
    (magic,) = cursor.integers(1, "magic number")
    if magic not in _FORMATS:
        raise cursor.refused(f"magic number: expected one of ggml, ggmf or ggjt, got {magic:#010x}")
    versions = _FORMATS[magic]
    version = 0 if magic == _UNVERSIONED else cursor.integers(1, "version")[0]
    if version not in versions:
        name = magic.to_bytes(4, "big").decode()
        expected = " or ".join(map(str, versions))
        raise cursor.refused(
            f"{name} version: expected {expected}, got {version}; it is damaged, or of another program than llama.cpp"
        )
    return versions[version]


def _read_header(cursor: _Cursor) -> GgmlHeader:
    """ConversionError for what cannot be a LLaMA: other programs had the same magic numbers."""
    header = GgmlHeader(*cursor.integers(7, "header"))
    for name in ("n_vocab", "n_embd", "n_head", "n_layer"):
        if getattr(header, name) == 0:
            raise cursor.refused(f"{name}: expected a positive number, got 0; download it again")
    head_dim, rest = divmod(header.n_embd, header.n_head)
    if rest or head_dim % 2 or header.n_rot != head_dim:
        raise cursor.refused(
            f"n_embd {header.n_embd}, n_head {header.n_head}, n_rot {header.n_rot}: expected n_rot = n_embd / n_head;"
            " it is damaged, or no LLaMA (bloomz.cpp and others used the same magic number): convert the original"
            " checkpoint"
        )
    return header


def _read_vocabulary(
    cursor: _Cursor, n_vocab: int, *, has_scores: bool
) -> tuple[list[bytes], list[float] | None]:
    tokens: list[bytes] = []
    scores: list[float] = []
    for token_id in range(n_vocab):
        what = f"token {token_id} of {n_vocab}"
        start = cursor.offset
        (n_bytes,) = cursor.integers(1, what)
        if n_bytes > _MAX_TOKEN_BYTES:
            raise cursor.damaged(start, f"{what}: a length of {n_bytes} bytes")
        tokens.append(cursor.bytes(n_bytes, what))
        if has_scores:
            scores.append(struct.unpack("<f", cursor.bytes(4, what))[0])
    return tokens, scores if has_scores else None


def _read_tensor(cursor: _Cursor, ggml_format: GgmlFormat) -> GgmlEntry:
    start = cursor.offset
    n_dims, n_name_bytes, type_id = cursor.integers(3, "tensor")
    if n_dims not in (1, 2) or not 0 < n_name_bytes <= _MAX_NAME_BYTES:
        raise cursor.damaged(
            start,
            f"expected a tensor of 1 or 2 dimensions with a name, got {n_dims} and {n_name_bytes} bytes",
        )
    shape = cursor.integers(n_dims, "tensor")[::-1]  # the dimension that lies together comes first there
    try:
        name = cursor.bytes(n_name_bytes, "tensor").decode("ascii")
    except UnicodeDecodeError:
        raise cursor.damaged(start, "a tensor's name is not text") from None
    if not name.isprintable() or 0 in shape:
        raise cursor.damaged(start, f"tensor {name!r} of shape {list(shape)}")
    type_name, n_bytes = _size(cursor, start, name, type_id, shape, ggml_format)
    cursor.skip(-cursor.offset % ggml_format.alignment, name)
    return GgmlEntry(name, type_name, shape, cursor.skip(n_bytes, name), n_bytes)


def _size(
    cursor: _Cursor, start: int, name: str, type_id: int, shape: tuple[int, ...], ggml_format: GgmlFormat
) -> tuple[str, int]:
    """(name of the type, bytes of the data)."""
    if type_id in _FLOATS:
        type_name, value_bytes = _FLOATS[type_id]
        return type_name, math.prod(shape) * value_bytes
    if type_id in _REFUSED:
        raise cursor.refused(
            f"{name}: {_REFUSED[type_id]} is not converted (f32, f16, q4_0, q4_1 and q8_0 are): convert the original"
            " checkpoint, or try llama.cpp's convert_llama_ggml_to_gguf.py and its backend"
        )
    if type_id not in _QUANTIZED:
        raise cursor.damaged(start, f"{name}: no tensor has type {type_id}")
    type_name, code_bytes, n_scales = _QUANTIZED[type_id]
    if len(shape) != 2 or shape[1] % BLOCK:
        raise cursor.damaged(
            start, f"{name}: expected rows of whole blocks of {BLOCK} for {type_name}, got {list(shape)}"
        )
    block_bytes = code_bytes + n_scales * ggml_format.scale_bytes
    return type_name, math.prod(shape) // BLOCK * block_bytes

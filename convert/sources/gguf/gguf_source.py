"""Opens a GGUF file, ours or another program's, whole or split, to give its matrices other types."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from belle_edge import _core
from belle_edge.convert.header_encoding import EncodedValue
from belle_edge.convert.sources.byte_source import WeightFile
from belle_edge.convert.sources.gguf.header_entries import header_entries
from belle_edge.convert.sources.gguf.stored_tensors import GgufBytes, stored_tensor
from belle_edge.convert.sources.opening_options import SourceOptions
from belle_edge.convert.sources.source_tensors import SourceTensor
from belle_edge.errors import ConversionError, ModelFormatError
from belle_edge.hub.gguf_choice import all_parts
from belle_edge.regular_files import irregular, open_regular

_MAGIC = b"GGUF"
_ARCHITECTURES = ("bloom", "llama")
_FOR_CHECKPOINTS: Mapping[str, str] = {  # settings of a source that a GGUF has no use for -> what to do
    "revision": "a file has no revisions: leave it out",
    "key": "a GGUF is not encrypted: leave it out",
    "tokenizer": "the file has its own tokenizer, which is copied: convert the checkpoint for another one",
    "gptq_zeros": "a GGUF has no GPTQ zeros: leave it out",
    "lora": "merge adapters into the original weights: convert the checkpoint with lora",
}


@dataclass(frozen=True)
class GgufSource:
    """A file that was opened; nothing of its data is read yet."""

    file: _core.GgufFile
    entries: dict[str, EncodedValue]  # its metadata as it lies there, in file order
    tensors: list[SourceTensor]
    header_hash: str  # SHA-256 of everything before the data; ours has checksums of the data in it

    @property
    def name(self) -> str:
        return Path(self.file.path).name

    @property
    def architecture(self) -> str:
        return str(self.file["general.architecture"])

    @property
    def weight_files(self) -> list[WeightFile]:
        return [GgufBytes(self.file)]

    def number(self, key: str, default: int | None = None) -> int:
        """A whole number among the architecture's metadata. ConversionError where there is none."""
        value: Any = self.file.get(f"{self.architecture}.{key}", default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ConversionError(
                f"[{self.name}] {self.architecture}.{key}: expected a whole number, found {value!r}"
            )
        return value


def is_gguf(src: str | Path) -> bool:
    """Whether `src` is a file that begins as a GGUF does, under any name."""
    path = Path(src).expanduser()
    if not path.exists() or irregular(path) is not None:
        return False
    with open_regular(path) as file:
        return file.read(len(_MAGIC)) == _MAGIC


def parts_of(src: str | Path) -> list[Path]:
    """The files that a GGUF may consist of, by its name."""
    path = Path(src).expanduser()
    pattern = re.sub(r"\[", "[[]", all_parts(path.name))
    return sorted({path, *path.parent.glob(pattern)})


def open_gguf(src: str | Path, options: SourceOptions) -> GgufSource:
    """Open the file at `src`. ConversionError for damage, and for what cannot be written anew here."""
    for setting, advice in _FOR_CHECKPOINTS.items():
        if getattr(options, setting):
            raise ConversionError(f"[{setting}] {Path(src).name} is a GGUF file: {advice}")
    try:
        file = _core.GgufFile(str(Path(src).expanduser()))
        header = _header(file)
        architecture = file.get("general.architecture")
        tensors = file.tensors()
    except ModelFormatError as error:
        raise ConversionError(str(error)) from None
    name = Path(file.path).name
    if architecture not in _ARCHITECTURES:
        raise ConversionError(
            f"[{name}] architecture {architecture!r}: this converter writes {' and '.join(_ARCHITECTURES)} anew;"
            " use llama.cpp's quantizer (llama-quantize) for others"
        )
    return GgufSource(
        file,
        header_entries(name, header),
        [stored_tensor(file, info, place) for place, info in enumerate(tensors)],
        hashlib.sha256(header).hexdigest(),
    )


def _header(file: _core.GgufFile) -> bytes:
    """The bytes before the data, of the first part."""
    with open_regular(Path(file.path)) as content:
        header = content.read(file.data_offset)
    file.check_in_place()
    return header

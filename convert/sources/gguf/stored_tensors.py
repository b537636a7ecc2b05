"""The tensors of a GGUF file as sources of rows, and its bytes as a source that checks itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from belle_edge import _core
from belle_edge.convert.sources.source_tensors import FLOAT_TYPES
from belle_edge.errors import ConversionError, ModelFormatError


class GgufBytes:
    """The file, or the files of a split model, as a WeightFile.

    A pass begins with the checksums, where the file has any, and ends with a look whether somebody wrote to it.
    """

    is_hashed = False  # wrong bytes are found before a tensor is read

    def __init__(self, file: _core.GgufFile) -> None:
        self._file = file
        self.name, self.size_bytes = Path(file.path).name, file.size_bytes
        status = [(Path(part).name, Path(part).stat()) for part in file.parts]
        self.stamp = " ".join(f"{name} {found.st_size} {found.st_mtime_ns}" for name, found in status)

    def begin_pass(self) -> None:
        try:
            self._file.verify_data()
        except ModelFormatError as error:
            raise ConversionError(str(error)) from None

    def end_pass(self) -> None:
        try:
            self._file.check_in_place()
        except ModelFormatError as error:
            raise ConversionError(str(error)) from None


@dataclass(frozen=True)
class GgufFloatTensor:
    """A SourceTensor of floats."""

    name: str
    file: str
    offset: int  # its place among the file's tensors, which is the order of reading
    dtype: str
    shape: tuple[int, ...]
    n_bytes: int
    origin: _core.GgufFile = field(repr=False)

    def rows(self, start: int, stop: int) -> NDArray[np.generic]:
        """See SourceTensor."""
        element = np.dtype(FLOAT_TYPES[self.dtype]).newbyteorder("<")
        values = self.origin.tensor_bytes(self.name).view(element).reshape(self.shape)
        return np.asarray(values[start:stop])


@dataclass(frozen=True)
class GgufBlockTensor:
    """A BlockTensor whose blocks are given up for another type: asking for that is why a GGUF is converted."""

    name: str
    file: str
    offset: int  # as of GgufFloatTensor
    block_type: str
    shape: tuple[int, ...]
    n_bytes: int
    origin: _core.GgufFile = field(repr=False)

    dtype = "f32"  # of the values
    keeps_blocks = False

    def blocks(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Rows start … stop as they are."""
        return np.asarray(self.origin.tensor_bytes(self.name).reshape(self.shape[0], -1)[start:stop])

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Rows start … stop as float32."""
        blocks = np.ascontiguousarray(self.blocks(start, stop))
        return _core.dequantize(blocks, self.block_type, threads=1)  # beside the threads that quantize


def stored_tensor(
    file: _core.GgufFile, info: _core.TensorInfo, place: int
) -> GgufFloatTensor | GgufBlockTensor:
    """A tensor of `file`, the one at `place`. ConversionError for a type or a shape that is not read here."""
    name, kinds = Path(file.path).name, _core.weight_types()
    if info.type not in kinds:
        raise ConversionError(
            f"[{name}] {info.name}: type {info.type} is not read here (those that are: {', '.join(kinds)}): convert the"
            " original checkpoint, or use llama.cpp's quantizer"
        )
    is_quantized = kinds[info.type]["quantized"]
    if len(info.shape) not in (1, 2) or (is_quantized and len(info.shape) == 1) or 0 in info.shape:
        raise ConversionError(
            f"[{name}] {info.name}: expected a matrix or a vector of floats, found {info.type} of shape"
            f" {list(info.shape)}: use llama.cpp's quantizer for this model"
        )
    kind = GgufBlockTensor if is_quantized else GgufFloatTensor
    return kind(info.name, name, place, info.type, info.shape, info.n_bytes, file)

"""The models of a comparison, opened: a checkpoint or GGUF as a float model, a GGUF in an engine."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...convert.architectures.mapped_model import MappedTensor
from ...convert.moments.calibration_source import CalibrationSource
from ...convert.reference import ReferenceModel
from ...convert.sources.gguf.gguf_source import is_gguf, open_gguf
from ...convert.sources.opening_options import SourceOptions
from ...convert.sources.source_tensors import BlockTensor
from ...convert.stored_mix import main_type, stored_mix
from ...errors import ConversionError
from ...memory import open_file
from ...model import Belle
from ...text.chat_format import ChatFormat
from ...text.tokenizer import Tokenizer
from .engines import Engine, LoadedEngine
from .result import Side
from .streamed_model import StreamedModel

_CONTEXT = 2048  # tokens, where a checkpoint does not say
STREAMED = "reference"  # the name of the float model among the backends


@dataclass(frozen=True)
class OpenedModel:
    """A model that is ready to be computed."""

    engine: Engine
    tokenizer: Tokenizer
    chat_format: ChatFormat
    context: int  # tokens
    close: Callable[[], None]
    warnings: tuple[str, ...] = ()

    @property
    def side(self) -> Side:
        return self.engine.side

    @property
    def streamed(self) -> StreamedModel | None:
        """The float model, if it is one."""
        return self.engine if isinstance(self.engine, StreamedModel) else None


def open_streamed(
    path: str | Path, options: SourceOptions | None = None, *, family: str | None = None, threads: int = 0
) -> OpenedModel:
    """A checkpoint in any form that `convert` takes, or a GGUF, as a float model. Raises ConversionError."""
    source = CalibrationSource.open(path, options, family=family)
    is_file = is_gguf(path)
    side = Side(
        Path(path).expanduser().absolute().name,
        "gguf" if is_file else "checkpoint",
        _mix_in(path) if is_file else _type_of(source.tensors),
        sum(tensor.source.n_bytes for tensor in source.tensors),
        "reference",
    )
    context = source.metadata.get(f"{source.architecture}.context_length", _CONTEXT)
    return OpenedModel(
        StreamedModel(source, side, threads=threads),
        source.encoder.tokenizer,
        source.encoder.chat_format,
        int(context),
        lambda: None,
        source.warnings,
    )


def open_loaded(
    path: str | Path, backend: str, *, family: str | None = None, threads: int | None = None
) -> OpenedModel:
    """A GGUF in an engine. Raises as `Belle.load`."""
    file = open_file(path)
    side = Side(
        Path(path).name,
        "gguf",
        _mix_in(path),
        sum(tensor.n_bytes for tensor in file.tensors()),
        "llama.cpp" if backend == "llama.cpp" else "native",
    )
    model = Belle.load(file, backend=backend, threads=threads, family=family)
    engine = LoadedEngine(model.backend, side)
    return OpenedModel(engine, model.tokenizer, model.chat_format, model.context, model.close)


def float_model(path: str | Path, *, threads: int = 0) -> ReferenceModel | None:
    """The layers of a GGUF with its weights as floats; None for an architecture that is not computed here."""
    try:
        source = open_gguf(path, SourceOptions())
        tensors = [MappedTensor(tensor.name, tensor) for tensor in source.tensors]
        return ReferenceModel(tensors, source.file, threads=threads)
    except ConversionError:
        return None


def _mix_in(path: str | Path) -> str:
    file = open_file(path)
    return stored_mix(file) or main_type(file)


def _type_of(tensors: list[MappedTensor]) -> str:
    """The type of most values of matrices."""
    kinds: Counter[str] = Counter()
    for tensor in tensors:
        if len(tensor.shape) > 1:
            source = tensor.source
            kind = source.block_type if isinstance(source, BlockTensor) else source.dtype
            kinds[kind] += math.prod(tensor.shape)
    return kinds.most_common(1)[0][0] if kinds else ""

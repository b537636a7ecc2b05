"""A model to calibrate: its tensors, how it reads a text, and what it is called, of a checkpoint or of a GGUF."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from belle_edge.convert.architectures.mapped_model import MappedTensor
from belle_edge.convert.gguf_job import check_family
from belle_edge.convert.moments.token_texts import TextEncoder
from belle_edge.convert.output_metadata import display_name
from belle_edge.convert.source_model import SourceModel, read_source
from belle_edge.convert.sources.byte_source import WeightFile
from belle_edge.convert.sources.gguf.gguf_source import GgufSource, is_gguf, open_gguf
from belle_edge.convert.sources.opening import open_checkpoint
from belle_edge.convert.sources.opening_options import SourceOptions
from belle_edge.errors import BelleError, ConversionError
from belle_edge.text.chat_format import ChatFormat
from belle_edge.text.tokenizer import Tokenizer
from belle_edge.text.vocabulary import Metadata


@dataclass(frozen=True)
class CalibrationSource:
    """What a calibration is computed with."""

    name: str
    architecture: str
    metadata: Metadata  # of the architecture, under GGUF's keys
    tensors: list[MappedTensor]
    encoder: TextEncoder
    weight_files: Sequence[WeightFile]
    warnings: tuple[str, ...] = ()

    @property
    def n_weights(self) -> int:
        """Values of all tensors."""
        return sum(math.prod(tensor.shape) for tensor in self.tensors)

    @classmethod
    def open(
        cls, src: str | Path, options: SourceOptions | None = None, *, family: str | None = None
    ) -> CalibrationSource:
        """A checkpoint or a GGUF, as `convert` opens it. Raises ConversionError."""
        options = options or SourceOptions()
        if is_gguf(src):
            return cls.of_gguf(open_gguf(src, options), family=family)
        return cls.of_checkpoint(read_source(open_checkpoint(src, options), family=family))

    @classmethod
    def of_checkpoint(cls, source: SourceModel) -> CalibrationSource:
        """A checkpoint that has been read."""
        family = source.prompt_family
        chat_format = ChatFormat(
            source.chat_template or None,
            family.name if family else None,
            add_bos=family.add_bos if family else None,
        )
        return cls(
            display_name(source.identity, source.model),
            source.model.architecture,
            source.model.metadata,
            source.model.tensors,
            TextEncoder(Tokenizer.from_metadata(source.tables.metadata()), chat_format),
            source.checkpoint.weight_files,
            (*source.checkpoint.warnings, *source.model.warnings, *source.identity.warnings),
        )

    @classmethod
    def of_gguf(cls, source: GgufSource, *, family: str | None = None) -> CalibrationSource:
        """A GGUF that has been opened."""
        check_family(family)
        named = None if family == "none" else family
        is_given_up = family == "none" and "belle.family" in source.file  # its template is the family's
        try:
            chat_format = ChatFormat() if is_given_up else ChatFormat.of_file(source.file, family=named)
            tokenizer = Tokenizer.from_metadata(source.file)
        except BelleError as error:
            raise ConversionError(f"[{source.name}] {error}") from None
        return cls(
            str(source.file.get("general.name", source.architecture.upper())),
            source.architecture,
            source.file,
            [MappedTensor(tensor.name, tensor) for tensor in source.tensors],
            TextEncoder(tokenizer, chat_format),
            source.weight_files,
        )

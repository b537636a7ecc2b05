"""A checkpoint that has been opened, whatever form it was published in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from belle_edge.convert.gguf_tokenizer import TokenizerTables
from belle_edge.convert.sources.byte_source import ByteSource
from belle_edge.convert.sources.checkpoint_files import CheckpointFiles, check_real, parse_json
from belle_edge.convert.sources.source_tensors import SourceTensor
from belle_edge.errors import ConversionError


@dataclass(frozen=True)
class Checkpoint:
    """Its files, its configuration, its weights by name; names and configuration in Hugging Face's terms."""

    files: CheckpointFiles
    repo_id: str | None = None  # the hub's org/name when it came from there
    revision: str | None = None  # the hub's commit
    config: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, SourceTensor] = field(default_factory=dict)
    weight_files: list[ByteSource] = field(default_factory=list)  # that the weights lie in, in reading order
    provenance: Mapping[str, str | int | float] = field(
        default_factory=dict
    )  # belle.source.*: how it was read
    warnings: tuple[str, ...] = ()
    vocabulary: TokenizerTables | None = None  # that the weights bring, in place of tokenizer files

    @property
    def n_bytes(self) -> int:
        return sum(tensor.n_bytes for tensor in self.weights.values())

    def json(self, name: str) -> dict[str, Any] | None:
        """A JSON object among the files, None where it is absent. ConversionError when it is damaged."""
        return parse_json(name, self.files.read(name))

    def text(self, name: str) -> str | None:
        """A text file, or None where it is absent."""
        content = self.files.read(name)
        if content is None:
            return None
        check_real(name, content)
        try:
            return content.decode("utf-8-sig")  # a byte order mark is no part of a text
        except UnicodeDecodeError as error:
            raise ConversionError(f"[{name}] not UTF-8 text: {error.reason} at byte {error.start}") from None

"""What a user says about a source besides its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from belle_edge.argument_names import explains_fields
from belle_edge.convert.sources.lora.merging import AdapterOption, LoraArgument, adapter_options


class SourceSettings(TypedDict, total=False):
    """The fields of `SourceOptions` as keyword arguments, for type checkers and editors."""

    revision: str | None
    key: str | Path | None
    tokenizer: str | Path | None
    gptq_zeros: str | None
    lora: LoraArgument | Sequence[LoraArgument]


@explains_fields("source")
@dataclass(frozen=True)
class SourceOptions:
    """How a source is opened. Raises ConversionError for adapters that are no folders with numbers."""

    revision: str | None = None  # branch, tag or commit of a hub id
    key: str | Path | None = (
        None  # of encrypted files (.enc): Meta's original weights, or the folder with them
    )
    tokenizer: str | Path | None = (
        None  # folder or hub id with it, and with the config.json that a source lacks
    )
    gptq_zeros: str | None = None  # how GPTQ's zeros are stored, "minus-one" or "plain"; None: found out
    lora: LoraArgument | Sequence[LoraArgument] = ()  # adapters (PEFT) to merge: folders, or (folder, weight)

    def __post_init__(self) -> None:
        _ = self.adapters

    @property
    def adapters(self) -> tuple[AdapterOption, ...]:
        """`lora` as it is merged."""
        return adapter_options(self.lora)

    @property
    def places(self) -> list[str | Path]:
        """Files and folders that are read besides the source."""
        named = [place for place in (self.key, self.tokenizer) if place is not None]
        return [*named, *(adapter.folder for adapter in self.adapters)]

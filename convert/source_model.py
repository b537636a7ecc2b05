"""A source as it was understood, before anything is planned: its model, its tokenizer, and which BELLE it is."""

from __future__ import annotations

from dataclasses import dataclass

from belle_edge.convert.architectures import read_model
from belle_edge.convert.architectures.mapped_model import MappedModel
from belle_edge.convert.gguf_tokenizer import TokenizerTables
from belle_edge.convert.identity import Identity, identify
from belle_edge.convert.sources.checkpoint import Checkpoint
from belle_edge.convert.tokenizer_tables import check_tables, read_tokenizer
from belle_edge.text.prompts import FAMILIES, PromptFamily


@dataclass(frozen=True)
class SourceModel:
    """What the output is made from."""

    checkpoint: Checkpoint
    model: MappedModel
    tables: TokenizerTables
    identity: Identity

    @property
    def prompt_family(self) -> PromptFamily | None:
        return FAMILIES[self.identity.family] if self.identity.family else None

    @property
    def chat_template(self) -> str | None:
        """The family's, else the source's own."""
        return self.prompt_family.chat_template if self.prompt_family else self.tables.chat_template


def read_source(checkpoint: Checkpoint, *, family: str | None) -> SourceModel:
    """Map and identify; `family` as for `convert`.

    Raises ConversionError for what does not fit together, or cannot be expressed in a GGUF.
    """
    model = read_model(checkpoint.config, checkpoint.weights)
    identity = identify(
        checkpoint, architecture=model.architecture, n_vocab_rows=model.n_vocab_rows, family=family
    )
    tables = read_tokenizer(checkpoint, n_vocab_rows=model.n_vocab_rows)
    check_tables(tables)
    return SourceModel(checkpoint, model, tables, identity)

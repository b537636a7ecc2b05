"""What a conversion reports of a model besides its tensors, whatever it was made from."""

from __future__ import annotations

from dataclasses import dataclass

from belle_edge.convert.architectures.mapped_model import MappedModel
from belle_edge.convert.output_metadata import display_name
from belle_edge.convert.source_model import SourceModel
from belle_edge.convert.tokenizer_comparison import TokenizerComparison


@dataclass(frozen=True)
class ModelFacts:
    """Names, shapes and sizes."""

    architecture: str
    name: str
    family: str | None
    confidence: str  # in the family, see identity.Identity
    license: str | None
    n_layers: int
    key_sharing: int  # query heads that share a head of keys
    kv_width: int  # values per token and layer in the key cache
    context_length: int
    n_tokens: int
    n_padding_tokens: int
    source_bytes: int  # of the tensors in the source
    tokenizer: TokenizerComparison | None = None


def facts_of(source: SourceModel) -> ModelFacts:
    """Those of a checkpoint."""
    model, tables, identity = source.model, source.tables, source.identity
    return ModelFacts(
        architecture=model.architecture,
        name=display_name(identity, model),
        family=identity.family,
        confidence=identity.confidence,
        license=identity.license.id if identity.license else None,
        n_layers=model.n_layers,
        key_sharing=_heads(model, "head_count") // _heads(model, "head_count_kv"),
        kv_width=model.kv_width,
        context_length=model.context_length,
        n_tokens=len(tables.tokens),
        n_padding_tokens=tables.n_padding,
        source_bytes=source.checkpoint.n_bytes,
        tokenizer=tables.comparison,
    )


def _heads(model: MappedModel, key: str) -> int:
    value = model.metadata[f"{model.architecture}.attention.{key}"]
    assert isinstance(value, int)
    return value

"""What a conversion reports of a model besides its tensors, whatever it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
        key_sharing=key_sharing(model.metadata, model.architecture),
        kv_width=model.kv_width,
        context_length=model.context_length,
        n_tokens=len(tables.tokens),
        n_padding_tokens=tables.n_padding,
        source_bytes=source.checkpoint.n_bytes,
        tokenizer=tables.comparison,
    )


def key_sharing(metadata: Mapping[str, Any], architecture: str) -> int:
    """Query heads that share a head of keys, from a file's metadata."""
    n_heads = metadata[f"{architecture}.attention.head_count"]
    n_kv_heads = metadata.get(f"{architecture}.attention.head_count_kv", n_heads)
    return int(n_heads) // max(1, int(n_kv_heads))

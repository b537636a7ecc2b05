"""What a checkpoint's numbers say about the model: architecture and shapes, from the weights, else from config.json."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from belle_edge.convert.architectures import bloom, llama
from belle_edge.convert.sources.checkpoint import Checkpoint
from belle_edge.convert.sources.source_tensors import SourceTensor
from belle_edge.errors import ConversionError

_EMBEDDINGS = {
    "word_embeddings.weight": "bloom",
    "embed_tokens.weight": "llama",
    "tok_embeddings.weight": "llama",
}
_LAYER = re.compile(r"(?:^|\.)(?:h|layers)\.(\d+)\.")


@dataclass(frozen=True)
class Structure:
    """None: not known. The architecture is GGUF's name of it."""

    architecture: str | None = None
    n_vocab_rows: int | None = None
    hidden: int | None = None
    n_layers: int | None = None
    context: int | None = None
    conflict: str | None = None  # where config.json and weights are of different architectures


def read_structure(checkpoint: Checkpoint) -> Structure:
    """Architecture and shapes. Where both speak, the weights count: they are what will run."""
    stated, found = _stated(checkpoint), _from_weights(checkpoint.weights)
    conflict = None
    if found.architecture and stated.architecture not in (None, found.architecture):
        conflict = f"config.json says {stated.architecture}, the weights are of {found.architecture}"
    return Structure(
        architecture=found.architecture or stated.architecture,
        n_vocab_rows=found.n_vocab_rows or stated.n_vocab_rows,
        hidden=found.hidden or stated.hidden,
        n_layers=found.n_layers or stated.n_layers,
        context=stated.context,
        conflict=conflict,
    )


def _stated(checkpoint: Checkpoint) -> Structure:
    """As config.json says, or params.json, which stands in its place beside Meta's original weights."""
    if checkpoint.config:
        return _from_config(checkpoint.config)
    try:
        params = checkpoint.json("params.json") or {}
    except ConversionError:
        params = {}
    hidden, n_layers = _positive(params, "dim"), _positive(params, "n_layers")
    known = hidden is not None and n_layers is not None
    return Structure("llama", _positive(params, "vocab_size"), hidden, n_layers) if known else Structure()


def _from_config(config: Mapping[str, Any]) -> Structure:
    named = config.get("architectures")
    names = [*(named if isinstance(named, list) else [named]), config.get("model_type")]
    known = {name: kind for kind, module in (("bloom", bloom), ("llama", llama)) for name in module.NAMES}
    return Structure(
        architecture=next((known[name] for name in names if isinstance(name, str) and name in known), None),
        n_vocab_rows=_positive(config, "vocab_size"),
        hidden=_positive(config, "hidden_size", "n_embed"),
        n_layers=_positive(config, "n_layer", "num_hidden_layers"),
        context=_positive(config, "seq_length", "max_position_embeddings", "max_sequence_length"),
    )


def _from_weights(weights: Mapping[str, SourceTensor]) -> Structure:
    layers = {int(match[1]) for name in weights if (match := _LAYER.search(name))}
    structure = Structure(n_layers=max(layers) + 1 if layers else None)
    for name, tensor in weights.items():
        kind = next((_EMBEDDINGS[suffix] for suffix in _EMBEDDINGS if name.endswith(suffix)), None)
        if kind is not None and len(tensor.shape) == 2:
            rows, hidden = tensor.shape
            return replace(structure, architecture=kind, n_vocab_rows=rows, hidden=hidden)
    return structure


def _positive(config: Mapping[str, Any], *spellings: str) -> int | None:
    values = (config.get(name) for name in spellings)
    return next((v for v in values if isinstance(v, int) and not isinstance(v, bool) and v > 0), None)

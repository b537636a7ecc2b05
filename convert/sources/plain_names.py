"""Names of tensors without what trainers and wrappers put in front of them."""

from __future__ import annotations

from collections.abc import Mapping

from belle_edge.convert.sources.source_tensors import SourceTensor
from belle_edge.errors import ConversionError, bounded

# Modules that torch.compile, FSDP, activation checkpointing and DistributedDataParallel wrap around others.
_WRAPPERS = {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "module"}
_BASES = {"embed_tokens.weight": "model.", "word_embeddings.weight": "transformer."}  # by the embedding


def plain_names(weights: Mapping[str, SourceTensor]) -> tuple[dict[str, SourceTensor], tuple[str, ...]]:
    """The tensors under transformers' names, and a warning where these are not the names in the files.

    Names of wrapping modules go wherever they stand. What stands in front of the base model goes where all names have
    it: PEFT's `base_model.model.`, Lightning's `model.`, any other. ConversionError where two names become one.
    """
    names = {name: _unwrapped(name) for name in weights}
    prefix = _common_prefix(list(names.values()))
    plain: dict[str, SourceTensor] = {}
    for name, short in names.items():
        short = short.removeprefix(prefix)
        if short in plain:
            raise ConversionError(
                f"[{weights[name].file}] {bounded(name, 200)}: there are two tensors for {bounded(short, 200)}"
            )
        plain[short] = weights[name]
    for name, short in zip(weights, plain, strict=True):
        if name != short:
            example = f"{bounded(name, 200)} is read as {bounded(short, 200)}"
            return plain, (f"the tensors have names of a wrapped model: {example}, and so on",)
    return plain, ()


def _unwrapped(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def _common_prefix(names: list[str]) -> str:
    """What all names start with before the base model's part; "" for nothing."""
    for embedding, base in _BASES.items():
        for name in names:
            if name.endswith(f".{embedding}"):
                prefix = name.removesuffix(embedding).removesuffix(base)
                return prefix if all(other.startswith(prefix) for other in names) else ""
    return ""

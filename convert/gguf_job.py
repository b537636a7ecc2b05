"""The conversion of a GGUF: its metadata as it is, its matrices in other types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from belle_edge import _core
from belle_edge.convert.architectures.mapped_model import MappedTensor, MetadataValue
from belle_edge.convert.header_encoding import EncodedValue
from belle_edge.convert.job import Job, assemble
from belle_edge.convert.model_facts import ModelFacts
from belle_edge.convert.optimize.receipt import PREFIX as OF_AN_OPTIMIZATION
from belle_edge.convert.output_metadata import family_metadata, type_metadata
from belle_edge.convert.quantization import PlannedTensor
from belle_edge.convert.sources.gguf.gguf_source import GgufSource
from belle_edge.convert.sources.source_tensors import BlockTensor
from belle_edge.convert.type_mixes import Mix
from belle_edge.convert.type_rules import TypeRules
from belle_edge.errors import BelleError, ConversionError
from belle_edge.text.prompts import FAMILIES

# What the writer says itself, and what is true of the old file's bytes only.
_WRITTEN_ANEW = frozenset(
    (
        *("general.architecture", "general.alignment", "split.no", "split.count", "split.tensors.count"),
        *_core.CHECKSUM_KEYS,
        _core.ENTRY_HASHES_KEY,
    )
)
_OF_A_FAMILY = ("belle.family", "belle.stop_strings", "belle.sampling.", "belle.identified.")


def prepare_gguf(source: GgufSource, rules: TypeRules, *, family: str | None) -> Job:
    """Plan. family: replaces the prompt family that the file names. Raises ConversionError."""
    check_family(family)
    return assemble(
        _facts(source, family),
        [MappedTensor(tensor.name, tensor) for tensor in source.tensors],
        rules,
        weight_files=source.weight_files,
        metadata=lambda mix: _metadata(source, mix, family),
        warnings=lambda planned: _warnings(source, planned, family),
    )


def check_family(family: str | None) -> None:
    """ConversionError for a prompt family that there is not."""
    if family not in (None, "none", *FAMILIES):
        raise ConversionError(
            f"[family] unknown family {family!r}: expected one of {', '.join(FAMILIES)}, none"
        )


def _facts(source: GgufSource, family: str | None) -> ModelFacts:
    file, architecture = source.file, source.architecture
    n_heads = source.number("attention.head_count")
    n_kv_heads = source.number("attention.head_count_kv", n_heads)
    head_dim = source.number("attention.key_length", source.number("embedding_length") // n_heads)
    named = None if family == "none" else family or file.get("belle.family")
    stated = str(file.get("belle.identified.confidence", "stated")) if named else "none"
    return ModelFacts(
        architecture=architecture,
        name=str(file.get("general.name", architecture.upper())),
        family=named,
        confidence="given" if family else stated,
        license=file.get("general.license"),
        n_layers=source.number("block_count"),
        key_sharing=n_heads // n_kv_heads,
        kv_width=n_kv_heads * head_dim,
        context_length=source.number("context_length"),
        n_tokens=file.array_length("tokenizer.ggml.tokens") if "tokenizer.ggml.tokens" in file else 0,
        n_padding_tokens=0,
        source_bytes=sum(tensor.n_bytes for tensor in source.tensors),
    )


def _metadata(source: GgufSource, mix: Mix, family: str | None) -> Mapping[str, MetadataValue | EncodedValue]:
    """Every entry in its place, those about types anew, and where the matrices come from behind them."""
    entries: dict[str, MetadataValue | EncodedValue] = {
        key: value
        for key, value in source.entries.items()
        if key not in _WRITTEN_ANEW
        and not key.startswith(OF_AN_OPTIMIZATION)  # it is true of the old blocks
        and not (family and key.startswith(_OF_A_FAMILY))
    }
    entries.update(type_metadata(mix))
    if family == "none" and "belle.family" in source.file:
        entries.pop("tokenizer.chat_template", None)  # it was the family's
    elif family is not None and family != "none":
        chosen = FAMILIES[family]
        entries["tokenizer.chat_template"] = chosen.chat_template
        if chosen.add_bos is not None:
            entries["tokenizer.ggml.add_bos_token"] = chosen.add_bos
        entries.update(family_metadata(chosen, confidence="given", by=["--family"]))
    types = Counter(_type_of(tensor) for tensor in source.tensors)
    entries["belle.source.gguf.types"] = [f"{type} {count}" for type, count in types.most_common()]
    entries["belle.source.gguf.header_sha256"] = source.header_hash
    return entries


def _warnings(source: GgufSource, planned: list[PlannedTensor], family: str | None) -> list[str]:
    warnings = [*_twice_quantized(planned), *_expanded(planned)]
    if family in (None, "none") and "tokenizer.chat_template" not in source.file:
        warnings.append(
            "no chat template in the file (--family writes that of a BELLE); chat programs will guess"
        )
    try:
        source.file.check_supported()
    except BelleError as error:
        warnings.append(f"the file is written, but the native engine does not run it: {error}")
    return warnings


def _twice_quantized(planned: list[PlannedTensor]) -> list[str]:
    """A line for each pair of types in which rounding comes on top of rounding."""
    known = _core.weight_types()
    counts = Counter(
        (_type_of(tensor.tensor.source), tensor.type)
        for tensor in planned
        if isinstance(tensor.tensor.source, BlockTensor)
        and known[tensor.type]["quantized"]
        and not tensor.is_repacked
    )
    return [
        f"{count} {'matrix was' if count == 1 else 'matrices were'} {old} already, and rounded once more, to {new}:"
        f" what {old} lost stays lost. Better from the checkpoint"
        for (old, new), count in counts.items()
    ]


def _expanded(planned: list[PlannedTensor]) -> list[str]:
    """A line where quantized matrices become floats."""
    known = _core.weight_types()
    old = {
        _type_of(tensor.tensor.source)
        for tensor in planned
        if isinstance(tensor.tensor.source, BlockTensor) and not known[tensor.type]["quantized"]
    }
    return [f"{', '.join(sorted(old))} became floats: the file is larger, and not better"] if old else []


def _type_of(tensor: Any) -> str:
    return str(tensor.block_type if isinstance(tensor, BlockTensor) else tensor.dtype)

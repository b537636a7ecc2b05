"""The keyword arguments of `convert`, sorted into the groups that the conversion works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from belle_edge.argument_names import unknown_argument
from belle_edge.convert.sources.opening_options import SourceOptions, SourceSettings
from belle_edge.convert.trim.request import TrimRequest, TrimSettings
from belle_edge.convert.type_rules import TypeRules, TypeSettings
from belle_edge.errors import excerpt

_SOURCE_FIELDS = tuple(field.name for field in fields(SourceOptions))
_TRIM_FIELDS = ("vocab", "vocab_from")
_TYPE_FIELDS = tuple(field.name for field in fields(TypeRules) if field.name != "type")
_FIELDS = (*_SOURCE_FIELDS, *_TRIM_FIELDS, *_TYPE_FIELDS)
_OWN = ("type", "family", "source", "trim", "force", "resume", "dry_run", "threads", "progress")
_TYPE, _OUT = "write type='q4_k_m', or another type", "the file to write comes second: convert(src, out)"
_OTHER_NAMES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("quantization", "quant", "outtype", "ftype", "dtype", "torch_dtype"), _TYPE),
        **dict.fromkeys(("tensor_types", "tensor_type_rules"), "write tensor_type=…"),
        **dict.fromkeys(("output_tensor_type", "output_type"), "write head_type=…"),
        "token_embedding_type": "write embedding_type=…",
        **dict.fromkeys(("output", "outfile", "output_file", "output_path", "dst"), _OUT),
        **dict.fromkeys(("overwrite", "exist_ok"), "write force=True"),
        **dict.fromkeys(("n_threads", "num_threads", "nthread"), "write threads=…"),
        **dict.fromkeys(("adapter", "adapters", "peft", "lora_path"), "write lora=…"),
        **dict.fromkeys(("languages", "language"), "write vocab=…"),
        **dict.fromkeys(("corpus", "corpora"), "write vocab_from=…"),
    }
)


class ConversionSettings(SourceSettings, TrimSettings, TypeSettings, total=False):
    """What `convert` takes by name in place of its groups, for type checkers and editors."""


def groups_of(
    type: str | TypeRules | None,
    source: SourceOptions | None,
    trim: TrimRequest | None,
    settings: Mapping[str, Any],
) -> tuple[TypeRules, SourceOptions, TrimRequest | None]:
    """The groups: as they were given, or made of `settings`, which are named as in `ConversionSettings`.

    Raises ValueError for a name that does not exist, for a group of another kind, and for a group that is given beside
    one of its settings; ConversionError as the groups do.
    """
    for name in settings:
        if name not in _FIELDS:
            raise unknown_argument("convert", name, (*_OWN, *_FIELDS), others=_OTHER_NAMES)
    of_source, of_trim, of_type = (
        {name: value for name, value in settings.items() if name in names}
        for names in (_SOURCE_FIELDS, _TRIM_FIELDS, _TYPE_FIELDS)
    )
    _check_group("source", source, SourceOptions, of_source)
    _check_group("trim", trim, TrimRequest, of_trim)
    if not isinstance(type, str):
        _check_group("type", type, TypeRules, of_type)
    return (
        type if isinstance(type, TypeRules) else TypeRules(type, **of_type),
        source if source is not None else SourceOptions(**of_source),
        trim if trim is not None else TrimRequest.from_arguments(**of_trim),
    )


def _check_group(name: str, group: object, kind: type[object], settings: Mapping[str, Any]) -> None:
    if group is None:
        return
    if not isinstance(group, kind):
        raise ValueError(f"[convert] {name}: expected {kind.__name__}, got {excerpt(group)}")
    if settings:
        raise ValueError(
            f"[convert] {name} and {next(iter(settings))}: expected one of the two; put {next(iter(settings))} into"
            f" the {kind.__name__}, or leave {name} out"
        )

"""The keyword arguments of `convert`, sorted into the groups that the conversion works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any, NamedTuple

from belle_edge.argument_names import unknown_argument
from belle_edge.convert.optimize.optimization import Optimization, OptimizationSettings
from belle_edge.convert.sources.opening_options import SourceOptions, SourceSettings
from belle_edge.convert.trim.request import TrimRequest, TrimSettings
from belle_edge.convert.type_rules import TypeRules, TypeSettings
from belle_edge.errors import excerpt

_SOURCE_FIELDS = tuple(field.name for field in fields(SourceOptions))
_TRIM_FIELDS = ("vocab", "vocab_from")
_TYPE_FIELDS = tuple(field.name for field in fields(TypeRules) if field.name != "type")
_OPTIMIZATION_FIELDS = ("calibration", "target_size")
_FIELDS = (*_SOURCE_FIELDS, *_TRIM_FIELDS, *_TYPE_FIELDS, *_OPTIMIZATION_FIELDS)
_OWN = ("type", "family", "source", "trim", "optimize", "force", "resume", "dry_run", "threads", "progress")
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
        **dict.fromkeys(("imatrix", "moments", "calibration_data", "dataset"), "write calibration=…"),
        **dict.fromkeys(("max_size", "size", "target_bytes"), "write target_size='3.9GB'"),
    }
)


class ConversionSettings(SourceSettings, TrimSettings, TypeSettings, OptimizationSettings, total=False):
    """What `convert` takes by name in place of its groups, for type checkers and editors."""


class Groups(NamedTuple):
    """The settings of a conversion."""

    rules: TypeRules
    source: SourceOptions
    trim: TrimRequest | None
    optimization: Optimization | None


def groups_of(
    type: str | TypeRules | None,
    source: SourceOptions | None,
    trim: TrimRequest | None,
    optimize: str | bool | Optimization | None,
    settings: Mapping[str, Any],
) -> Groups:
    """The groups: as they were given, or made of `settings`, which are named as in `ConversionSettings`.

    Raises ValueError for a name that does not exist, for a group of another kind, and for a group that is given beside
    one of its settings; ConversionError as the groups do.
    """
    for name in settings:
        if name not in _FIELDS:
            raise unknown_argument("convert", name, (*_OWN, *_FIELDS), others=_OTHER_NAMES)
    of_source, of_trim, of_type, of_optimization = (
        {name: value for name, value in settings.items() if name in names}
        for names in (_SOURCE_FIELDS, _TRIM_FIELDS, _TYPE_FIELDS, _OPTIMIZATION_FIELDS)
    )
    _check_group("source", source, SourceOptions, of_source)
    _check_group("trim", trim, TrimRequest, of_trim)
    if not isinstance(type, str):
        _check_group("type", type, TypeRules, of_type)
    if not isinstance(optimize, (str, bool)):
        _check_group("optimize", optimize, Optimization, of_optimization)
    return Groups(
        type if isinstance(type, TypeRules) else TypeRules(type, **of_type),
        source if source is not None else SourceOptions(**of_source),
        trim if trim is not None else TrimRequest.from_arguments(**of_trim),
        optimize
        if isinstance(optimize, Optimization)
        else Optimization.from_arguments(optimize, **of_optimization),
    )


def source_options(function: str, source: SourceOptions | None, settings: Mapping[str, Any]) -> SourceOptions:
    """How a source is opened, for a function that takes nothing else in groups. Raises as `groups_of`."""
    for name in settings:
        if name not in _SOURCE_FIELDS:
            raise unknown_argument(function, name, _SOURCE_FIELDS, others=_OTHER_NAMES)
    _check_group("source", source, SourceOptions, settings, function=function)
    return source if source is not None else SourceOptions(**settings)


def _check_group(
    name: str,
    group: object,
    kind: type[object],
    settings: Mapping[str, Any],
    *,
    function: str = "convert",
) -> None:
    if group is None:
        return
    if not isinstance(group, kind):
        raise ValueError(f"[{function}] {name}: expected {kind.__name__}, got {excerpt(group)}")
    if settings:
        raise ValueError(
            f"[{function}] {name} and {next(iter(settings))}: expected one of the two; put {next(iter(settings))} into"
            f" the {kind.__name__}, or leave {name} out"
        )

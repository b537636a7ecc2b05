"""Frozen dataclasses of numbers and texts as JSON, and back by the types of their fields."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ...errors import excerpt

Result = TypeVar("Result")


def dumped(value: Any) -> str:
    """One line of JSON of a dataclass; an infinite number is null there."""
    return json.dumps(_finite(asdict(value)), ensure_ascii=False, allow_nan=False)


def loaded(kind: type[Result], value: Any, where: str) -> Result:
    """A dataclass from what JSON has of it. ValueError names the place and what was expected there."""
    if not isinstance(value, Mapping):
        raise refused(where, "an object", value)
    types = get_type_hints(kind)
    listed = fields(kind)  # type: ignore[arg-type]
    required = {field.name for field in listed if field.default is MISSING}
    missing, unknown = required - value.keys(), value.keys() - {field.name for field in listed}
    if missing or unknown:
        found = f"none named {min(missing)}" if missing else f"one named {excerpt(min(unknown))}"
        raise refused(where, f"the fields {', '.join(field.name for field in listed)}", found, quoted=False)
    return kind(**{name: _value(types[name], value[name], f"{where}.{name}") for name in value})


def refused(where: str, expected: str, found: object, *, quoted: bool = True) -> ValueError:
    """The error for what does not fit a result."""
    return ValueError(f"[{where}] expected {expected}, got {excerpt(found) if quoted else found}")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and math.isinf(value):
        return None
    return value


def _value(kind: Any, value: Any, where: str) -> Any:
    """One value of a type that the results have."""
    origin, inner = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return loaded(kind, value, where)  # type: ignore[arg-type]
    if origin is tuple and isinstance(value, list):
        return tuple(_value(inner[0], item, f"{where}[{place}]") for place, item in enumerate(value))
    if origin is Mapping and isinstance(value, Mapping):
        return {name: _value(inner[1], item, f"{where}.{name}") for name, item in value.items()}
    if origin in (Union, UnionType):
        return None if value is None else _value(_without_none(inner), value, where)
    if kind is float and (value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))):
        return math.inf if value is None else float(value)
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if (kind is str or origin is Literal) and isinstance(value, str):
        return value
    raise refused(where, _named(kind), value)


def _without_none(kinds: tuple[Any, ...]) -> Any:
    (kind,) = (kind for kind in kinds if kind is not NoneType)
    return kind


def _named(kind: Any) -> str:
    origin = get_origin(kind)
    if origin is tuple:
        return "a list"
    if origin is Mapping:
        return "an object"
    if kind is int:
        return "a whole number"
    return "a number" if kind is float else "a text"

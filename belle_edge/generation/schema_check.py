"""JSON schemas: read from what a user gives, and refused, by keyword and place, where not all of one can be kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Set
from itertools import islice
from typing import Any
from urllib.parse import quote, unquote

from .. import strict_json
from ..errors import excerpt

Schema = Any  # a dict; inside one also True or False
Problem = Callable[[Schema], str]  # what the engine of grammars says against a schema; empty for nothing

MAX_BYTES = 1 << 20
_MAX_SEARCHED = 200  # of them, for the place of what is wrong
MAX_PARTS = 2000  # schemas within one
# Keywords that are kept, and annotations, which demand nothing of a value (a discriminator helps to read a oneOf).
_KEPT = frozenset(
    {
        *("type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref", "$defs", "definitions"),
        *("properties", "patternProperties", "additionalProperties", "required"),
        *(
            "minProperties",
            "maxProperties",
            "items",
            "prefixItems",
            "additionalItems",
            "minItems",
            "maxItems",
        ),
        *("minLength", "maxLength", "pattern", "format", "minimum", "maximum"),
        *("exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    }
)
_ANNOTATIONS = frozenset(
    {
        *("title", "description", "default", "examples", "example", "deprecated", "readOnly", "writeOnly"),
        *("discriminator", "$schema", "$id", "id", "$anchor", "$comment"),
        *("contentEncoding", "contentMediaType", "contentSchema"),
    }
)
_SCHEMA = ("items", "additionalItems", "additionalProperties")  # keywords whose value is a schema,
_SCHEMAS = ("anyOf", "oneOf", "allOf", "prefixItems", "items")  # a list of them,
_NAMED = ("properties", "patternProperties", "$defs", "definitions")  # or one per name
_ADVICE = {  # where a message speaks of options that its reader does not have, by its beginning
    "oneOf": "oneOf is supported only where no value can fulfil two of its schemas: write anyOf"
}
_INSTEAD = "leave it out, and check the answer yourself"


def schema_of(value: Any) -> Schema:
    """The schema that a dict, a JSON text or a pydantic model describes. ValueError for anything else.

    Of a pydantic model no more than its fields are written, unless it allows others.
    """
    if isinstance(value, (str, bytes)):
        return _read(value)
    describe = getattr(value, "model_json_schema", None)
    if describe is not None:
        return _closed(schema_of(describe()))
    if not isinstance(value, (Mapping, bool)):
        raise ValueError(
            f"[constraint] schema: expected a dict, JSON text or a pydantic model, got {excerpt(value)}"
        )
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"[constraint] schema: it is no JSON: {error}") from None
    return _read(text)


def check_schema(schema: Schema, problem: Problem) -> None:
    """ValueError, naming keyword and place, unless every answer within `schema` can be made to fulfil it."""
    for n_before, (place, part) in enumerate(parts(schema)):
        if n_before == MAX_PARTS:
            raise ValueError(f"[constraint] schema: expected at most {MAX_PARTS} schemas within it, got more")
        _check_part(place, part)
    if _never_ends(schema):
        raise ValueError(
            "[constraint] schema: $: it demands itself within itself: no finite value fulfils it"
        )
    told = problem(schema)
    if told:
        raise ValueError(
            f"[constraint] schema: {_place_of(schema, told, problem)}: {_ADVICE.get(told[:5], told)}"
        )


def parts(schema: Schema, place: str = "$") -> Iterator[tuple[str, Schema]]:
    """(place, schema) of a schema and of all that it is made of, outer ones first."""
    yield place, schema
    if not isinstance(schema, dict):
        return
    for key in _SCHEMA:
        if isinstance(schema.get(key), (dict, bool)):
            yield from parts(schema[key], f"{place}.{key}")
    for key in _SCHEMAS:
        if isinstance(schema.get(key), list):
            for index, part in enumerate(schema[key]):
                yield from parts(part, f"{place}.{key}[{index}]")
    for key in _NAMED:
        if isinstance(schema.get(key), dict):
            for name, part in schema[key].items():
                yield from parts(part, f"{place}.{key}.{name}")


def _closed(schema: Schema) -> Schema:
    for _, part in parts(schema):
        if isinstance(part, dict) and part.get("type") == "object" and "properties" in part:
            part.setdefault("additionalProperties", False)
    return schema


def _plain(value: Any) -> dict[str, Any]:
    """Of a mapping that is no dict."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{excerpt(value)} is neither text, number, list nor dict")


def _read(text: str | bytes) -> Schema:
    try:
        schema = strict_json.parse(text, max_bytes=MAX_BYTES)
    except strict_json.JsonError as error:
        raise ValueError(f"[constraint] schema: {error}") from None
    if schema is False:
        raise ValueError("[constraint] schema: $: false: no value fulfils it")
    if schema is True:
        return {}
    if not isinstance(schema, dict):
        raise ValueError(f"[constraint] schema: expected an object, got {excerpt(schema)}")
    for _, part in parts(schema):
        if isinstance(part, dict) and isinstance(
            part.get("$ref"), str
        ):  # as URIs are written: pydantic does not
            part["$ref"] = quote(part["$ref"], safe="#/%~:?=&+,;@!$'()*[]")
    return schema


def _check_part(place: str, schema: Schema) -> None:
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        raise ValueError(f"[constraint] schema: {place}: expected a schema, an object, got {excerpt(schema)}")
    for keyword in schema:
        known = keyword in _KEPT or keyword in _ANNOTATIONS
        if not known and (keyword == "x-guidance" or not keyword.startswith("x-")):
            raise ValueError(
                f"[constraint] schema: {place}: the keyword {excerpt(keyword)} is not supported: {_INSTEAD}"
            )
    for keyword in ("exclusiveMinimum", "exclusiveMaximum"):
        if isinstance(schema.get(keyword), bool):  # as drafts up to 4 had it
            raise ValueError(
                f"[constraint] schema: {place}: {keyword}: expected a number, got {schema[keyword]}"
            )
    required = schema.get("required", [])
    least = schema.get("minProperties", 0)
    if (
        isinstance(required, list)
        and isinstance(least, (int, float))
        and least > len(set(map(str, required)))
    ):
        raise ValueError(
            f"[constraint] schema: {place}: minProperties {excerpt(least)} is not supported beyond the required "
            f"ones, since a key could be written twice: name them in required, or {_INSTEAD}"
        )


def _never_ends(root: Schema) -> bool:
    """Whether each value that fulfils it would hold another one, without an end."""
    left = [
        part["$ref"]
        for _, part in parts(root)
        if isinstance(part, dict) and isinstance(part.get("$ref"), str)
    ]
    left = list(dict.fromkeys(left))
    ending: set[str] = set()  # references to what has finite values
    while True:
        n_before = len(ending)
        for reference in reversed(left):
            if _ends(_target(reference, root), ending):
                ending.add(reference)
        left = [reference for reference in reversed(left) if reference not in ending]
        if len(ending) == n_before:
            return not _ends(root, ending)


def _ends(schema: Schema, ending: Set[str]) -> bool:
    """Whether it has finite values, where references in `ending` have."""
    if not isinstance(schema, dict):
        return True
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference not in ending:
        return False
    demanded = [*_list(schema, "allOf")]
    if schema.get("type") == "object" and isinstance(names := schema.get("properties"), dict):
        demanded += [
            names[name] for name in _list(schema, "required") if isinstance(name, str) and name in names
        ]
    if schema.get("type") == "array" and isinstance(least := schema.get("minItems", 0), int) and least > 0:
        demanded += [*_list(schema, "prefixItems"), *_list(schema, "items"), schema.get("items")][:least]
    choices = [_list(schema, key) for key in ("anyOf", "oneOf")]
    return all(_ends(part, ending) for part in demanded) and all(
        not branches or any(_ends(part, ending) for part in branches) for branches in choices
    )


def _list(schema: dict[str, Any], key: str) -> list[Any]:
    value = schema.get(key)
    return value if isinstance(value, list) else []


def _target(reference: str, root: Schema) -> Schema:
    """What a reference within the document points at; True, which demands nothing, for any other one."""
    if not reference.startswith("#"):
        return True
    found = root
    for step in filter(None, reference[1:].split("/")):
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if not isinstance(found, dict) or name not in found:
            return True
        found = found[name]
    return found


def _place_of(schema: dict[str, Any], told: str, problem: Problem) -> str:
    """Where `told` comes from: the innermost part that by itself meets the same objection, and its keyword."""
    shared = {key: schema[key] for key in ("$defs", "definitions", "$schema") if key in schema}
    found, innermost = "$", schema
    for place, part in islice(parts(schema), _MAX_SEARCHED):
        if place.startswith(found) and isinstance(part, dict) and problem({**shared, **part}) == told:
            found, innermost = place, part
    for keyword in reversed([key for key in innermost if key not in shared]):
        rest = {key: value for key, value in innermost.items() if key != keyword}
        if problem({**shared, **rest}) == "":
            return f"{found}.{keyword}"
    return found

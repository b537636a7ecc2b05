"""What is refused of schemas, grammars, expressions and choices: by name and place, before anything is computed."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Any

import pytest

pytest.importorskip("llguidance")

from belle_edge.generation.constraint import Constraint

REFUSED: list[tuple[Any, str]] = [
    ({"type": "array", "uniqueItems": True}, r"\$: the keyword 'uniqueItems' is not supported"),
    ({"type": "object", "properties": {"甲": {"not": {}}}}, r"\$\.properties\.甲: the keyword 'not'"),
    ({"$defs": {"x": {"if": {}}}}, r"\$\.\$defs\.x: the keyword 'if'"),
    ({"type": "object", "propertyNames": {}}, "'propertyNames'"),
    ({"type": "array", "contains": {}}, "'contains'"),
    ({"type": "object", "dependentRequired": {}}, "'dependentRequired'"),
    ({"type": "object", "unevaluatedProperties": False}, "'unevaluatedProperties'"),
    ({"type": "string", "nullable": True}, "'nullable'"),
    ({"type": "string", "maxLenght": 3}, "'maxLenght'"),
    ({"x-guidance": {"lenient": True}}, "'x-guidance'"),
    (
        {"anyOf": [{"type": "integer"}, {"type": "string", "format": "color"}]},
        r"\$\.anyOf\[1\]\.format: Unknown format",
    ),
    ({"oneOf": [{"type": "string"}, {"maxLength": 3}]}, r"\$\.oneOf: .*write anyOf"),
    ({"items": {"type": "string", "pattern": "(?=a)b"}}, r"\$\.items\.pattern: .*look-around"),
    ({"type": "string", "pattern": "(a|b"}, r"\$\.pattern: .*unclosed group"),
    ({"type": "integer", "minimum": 5, "maximum": 3}, r"\$\.maximum: Unsatisfiable"),
    ({"type": "number", "exclusiveMinimum": True}, r"\$: exclusiveMinimum: expected a number"),
    ({"type": "object", "minProperties": 2}, r"\$: minProperties 2"),
    ({"type": "object", "properties": {"a": {}}, "maxProperties": 1}, r"\$\.maxProperties"),
    ({"type": "text"}, r"\$\.type: Invalid type: text"),
    ({"enum": []}, r"\$\.enum"),
    ({"$ref": "#/$defs/nowhere"}, r"\$\.\$ref: .*does not exist"),
    ({"$ref": "https://example.com/schema"}, r"\$\.\$ref"),
    ({"$ref": "#"}, "no finite value"),
    ({"type": "object", "properties": {"x": {"$ref": "#"}}, "required": ["x"]}, "no finite value"),
    ({"type": "array", "items": {"$ref": "#"}, "minItems": 1}, "no finite value"),
    ({"properties": {"a": 3}}, r"\$\.properties\.a: expected a schema"),
    (False, "no value fulfils it"),
    ("{", "Expecting property name"),
    ("[]", "expected an object"),
    ('{"type": "string", "type": "integer"}', "comes twice"),
    (3, "expected a dict, JSON text or a pydantic model, got 3"),
    ({"enum": [{1, 2}]}, "it is no JSON"),
    ({"const": float("nan")}, "it is no JSON"),
    ({"anyOf": [{"type": "null"}] * 3000}, "at most 2000 schemas"),
    ({"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}] * 2}}, "$ref": "#/$defs/a"}, "no finite value"),
]
TAKEN: list[Any] = [
    True,
    {},
    MappingProxyType({"type": "integer"}),
    '\ufeff{"type": "integer"}',
    {"x-order": 3, "title": "T", "default": 1, "examples": [1], "$comment": "c", "readOnly": True},
    {"properties": {"not": {"type": "string"}, "$ref": {"type": "integer"}}},  # names, no keywords
    {"type": "object", "properties": {"x": {"$ref": "#"}}},
    {"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "null"}]}}, "$ref": "#/$defs/a"},
    {"$ref": "#/$defs/订单", "$defs": {"订单": {"type": "integer"}}},
    {"$ref": "#/$defs/%E8%AE%A2", "$defs": {"订": {"type": "integer"}}},
    {"enum": [{"not": 1}], "const": {"not": 1}},
]


@pytest.mark.parametrize(("schema", "message"), REFUSED, ids=[str(schema)[:60] for schema, _ in REFUSED])
def test_refused_schemas(schema: Any, message: str) -> None:
    with pytest.raises(ValueError, match=r"^\[constraint\] schema: ") as error:
        Constraint.of(schema=schema)
    assert re.search(message, str(error.value)), error.value


@pytest.mark.parametrize("schema", TAKEN, ids=str)
def test_taken_schemas(schema: Any) -> None:
    constraint = Constraint.of(schema=schema)
    assert constraint is not None
    assert constraint.name == "schema"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"regex": "("}, "regex: .*unclosed group"),
        ({"regex": r"(a)\1"}, "regex: .*backreferences are not supported"),
        ({"regex": ""}, "regex: expected a text that is not empty"),
        ({"regex": 3}, "regex: expected a text"),
        ({"grammar": "foo"}, "grammar: "),
        ({"grammar": "start: other"}, 'grammar: .*unknown name: "other"'),
        ({"choice": "ab"}, "choice: expected a list of texts, got 'ab'"),
        ({"choice": []}, "choice: expected at least one text"),
        ({"choice": ["a", ""]}, "choice: expected a text that is not empty"),
        ({"choice": ["a", 1]}, "choice: expected a text that is not empty, got 1"),
        ({"choice": ["a"], "regex": "a"}, "regex and choice: an answer takes one of them"),
    ],
    ids=str,
)
def test_other_constraints_that_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r"\[constraint\] " + message):
        Constraint.of(**settings)


def test_none_of_them() -> None:
    assert Constraint.of() is None
    assert Constraint.of(schema=None, choice=None) is None

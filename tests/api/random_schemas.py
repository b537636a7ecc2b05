"""JSON schemas of every kind that is supported, made up from a number: the same number gives the same schema."""

from __future__ import annotations

from random import Random
from typing import Any

Schema = dict[str, Any]

_KEYS = ("姓名", "年龄", "城市", "标签", "Name", "a b", 'quo"te', "地址/路", "X1", "编号", "ключ", "É")
_PATTERNS = (
    "^[a-z]{2,5}$",
    "^[0-9]{6}$",
    "^(红|绿|蓝)色?$",
    "^[A-F0-9]{2}(-[A-F0-9]{2}){1,2}$",
    "^[一-龥]{1,3}$",
)
_FORMATS = ("date", "ipv4", "uuid")
_ENUMS: tuple[list[Any], ...] = (
    ["北京", "上海", "广州"],
    ["a", "ab", "abc"],
    [1, 2.5, "三", None],
    [True, {"k": [1]}, "换\n行"],
)


def is_open(number: int) -> bool:
    """Whether this schema allows any further property, so that an answer can go on for ever."""
    return number % 20 == 0


def schema_number(number: int) -> Schema:
    """An object with a few values, nested up to three levels; unless `is_open`, any model comes to an end."""
    rng = Random(number)
    schema = _object(rng, 3)
    if is_open(number):
        del schema["additionalProperties"]
        schema["required"] = list(schema["properties"])
    if number % 4 == 0 or number % 10 == 0:
        schema.pop("maxProperties", None)
    if number % 4 == 0:
        schema["$defs"] = {"共用": _value(rng, 1), "point": _point()}
        schema["properties"]["引用"] = {"$ref": "#/$defs/共用"}
        schema["properties"]["点"] = {"$ref": "#/$defs/point"}
        schema["required"] = [*schema["required"], "点"]
    if number % 10 == 0:
        schema["properties"]["tree"] = {"$ref": "#/$defs/tree"}
        schema.setdefault("$defs", {})["tree"] = _tree()
    return schema


def _value(rng: Random, depth: int) -> Schema:
    simple = (_string, _integer, _number, _enum, _constant, _plain)
    nested = (_object, _array, _tuple, _any_of, _one_of, _all_of)
    if depth == 0 or rng.random() < 0.4:
        return rng.choice(simple)(rng)
    return rng.choice(nested)(rng, depth - 1)


def _string(rng: Random) -> Schema:
    kind = rng.randrange(4)
    if kind == 0:
        return {"type": "string", "pattern": rng.choice(_PATTERNS)}
    if kind == 1:
        return {"type": "string", "format": rng.choice(_FORMATS)}
    least = rng.randrange(3)
    return {"type": "string", "minLength": least, "maxLength": least + rng.randrange(1, 8)}


def _integer(rng: Random) -> Schema:
    low = rng.randrange(-50, 50)
    schema: Schema = {"type": "integer", "minimum": low, "maximum": low + rng.randrange(10, 500)}
    if rng.random() < 0.3:
        schema["multipleOf"] = rng.choice((2, 5, 7))
    return schema


def _number(rng: Random) -> Schema:
    low = rng.choice((-1.5, 0, 0.25, 100))
    if rng.random() < 0.5:
        return {"type": "number", "minimum": low, "exclusiveMaximum": low + 2}
    return {"type": "number", "exclusiveMinimum": low, "maximum": low + 1.5}


def _enum(rng: Random) -> Schema:
    return {"enum": rng.choice(_ENUMS)}


def _constant(rng: Random) -> Schema:
    return {"const": rng.choice(("固定", 7, None, [1, "二"], {"甲": 1}))}


def _plain(rng: Random) -> Schema:
    return {"type": rng.choice(("boolean", "null", ["boolean", "null"])), "description": "no more than that"}


def _object(rng: Random, depth: int) -> Schema:
    names = rng.sample(_KEYS, rng.randrange(1, 4))
    properties = {name: _value(rng, depth) for name in names}
    required = [name for name in names if rng.random() < 0.6]
    schema: Schema = {"type": "object", "properties": properties, "required": required}
    kind = rng.randrange(5)
    if kind == 0:
        schema |= {"patternProperties": {"^[a-z]{1,4}$": {"type": "boolean"}}, "additionalProperties": False}
    elif kind == 1:
        schema |= {"patternProperties": {"^附[0-9]$": {"type": "null"}}, "additionalProperties": False}
    else:
        schema["additionalProperties"] = False
    if kind == 2:
        schema |= {"required": names, "minProperties": len(names), "maxProperties": len(names)}
    return schema


def _array(rng: Random, depth: int) -> Schema:
    least = rng.randrange(3)
    return {
        "type": "array",
        "items": _value(rng, depth),
        "minItems": least,
        "maxItems": least + rng.randrange(3),
    }


def _tuple(rng: Random, depth: int) -> Schema:
    parts = [_value(rng, depth) for _ in range(2)]
    return {"type": "array", "prefixItems": parts, "items": False, "minItems": rng.randrange(3)}


def _any_of(rng: Random, depth: int) -> Schema:
    return {"anyOf": [_value(rng, depth) for _ in range(rng.randrange(2, 4))]}


def _one_of(rng: Random, depth: int) -> Schema:
    return {"oneOf": [_string(rng), _integer(rng), _object(rng, depth)]}


def _all_of(rng: Random, depth: int) -> Schema:
    first, second = _integer(rng), {"minimum": -40, "maximum": 1000}
    return {"allOf": [{"type": "integer", "minimum": first["minimum"]}, second]}


def _point() -> Schema:
    axis = {"type": "number", "minimum": 0, "maximum": 1}
    return {
        "type": "object",
        "properties": {"横": axis, "纵": axis},
        "required": ["横", "纵"],
        "additionalProperties": False,
    }


def _tree() -> Schema:
    children = {"type": "array", "items": {"$ref": "#/$defs/tree"}, "maxItems": 1}
    return {
        "type": "object",
        "properties": {"值": {"type": "integer", "minimum": 0, "maximum": 9}, "子": children},
        "required": ["值"],
        "additionalProperties": False,
    }

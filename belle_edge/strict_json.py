"""JSON from files that anybody may have written: the one reader of this package.

The rules are those of RFC 8259 and of serde_json, which reads such files for `tokenizers` and `safetensors`: UTF-8,
no NaN or Infinity, no lone surrogates, at most 127 levels. A key that comes twice is refused where its values differ.
Size and the number of objects and arrays are bounded before anything is built.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from .errors import excerpt

MAX_BYTES = 64 << 20  # twice the largest tokenizer.json known
MAX_CONTAINERS = 2 << 20  # objects and arrays; merges of a vocabulary of 250,000 tokens are as many arrays
_MAX_DEPTH = 127
_MAX_DIGITS = 308  # what a float can hold; the time for longer numbers grows with their square
_BOM = "\ufeff"
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class JsonError(ValueError):
    """What is wrong with a text, and where in it; the caller says in which file."""


def parse(
    content: bytes | str,
    *,
    max_bytes: int = MAX_BYTES,
    max_containers: int = MAX_CONTAINERS,
    allow_nan: bool = False,
    unique_keys: bool = False,
) -> Any:
    """The value that `content` describes.

    content: UTF-8, with or without a byte order mark. allow_nan: take NaN and Infinity, which data sets have.
    unique_keys: refuse a key that comes twice even where its values are equal. Raises JsonError.
    """
    if len(content) > max_bytes:
        raise JsonError(f"expected at most {max_bytes:,} bytes of JSON, got {len(content):,}")
    text = decode(content).removeprefix(_BOM)
    n_containers = text.count("{") + text.count("[")
    if n_containers > max_containers:
        raise JsonError(f"expected at most {max_containers:,} objects and arrays, got {n_containers:,}")
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique_object if unique_keys else _object,
            parse_int=_integer,
            parse_float=float if allow_nan else _number,
            parse_constant=float if allow_nan else _constant,
        )
    except json.JSONDecodeError as error:
        raise JsonError(str(error)) from error
    except RecursionError:
        raise _too_deep() from None
    _check_depth(value)
    if _SURROGATE.search(text):
        _check_unicode(value)
    return value


def decode(content: bytes | str) -> str:
    """The text of a file. JsonError names the encoding where it is another than UTF-8."""
    if isinstance(content, str):
        return content
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content[:4]:
        raise JsonError("expected UTF-8, got UTF-16 or UTF-32, or no text at all: save it as UTF-8")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        found = f"byte {content[error.start]:#04x} at {error.start}"
        raise JsonError(f"expected UTF-8, got {found} (GBK or another encoding?): save it as UTF-8") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A key may come twice with the same value; with two, readers would differ about which one counts."""
    result = dict(pairs)
    if len(result) != len(pairs):
        for key, value in pairs:
            if value != result[key]:
                raise JsonError(f"the key {excerpt(key)} comes twice, with different values")
    return result


def _unique_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise JsonError(f"the key {excerpt(key)} comes twice")
        result[key] = value
    return result


def _integer(text: str) -> int | float:
    if len(text) > _MAX_DIGITS:
        raise JsonError(f"a number of {len(text)} digits: {excerpt(text)}")
    return int(text) if text != "-0" else -0.0


def _number(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise JsonError(f"a number out of range: {excerpt(text)}")
    return value


def _constant(text: str) -> NoReturn:
    raise JsonError(f"{text} is no JSON value: expected a number, or null")


def _check_depth(value: Any) -> None:
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(_MAX_DEPTH):
        if not level:
            return
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
    if level:
        raise _too_deep()


def _too_deep() -> JsonError:
    return JsonError(f"expected at most {_MAX_DEPTH} levels of objects and arrays, got more")


def _check_unicode(value: Any) -> None:
    """Two surrogates in a row are one character by now."""
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        code = ord(error.object[error.start])
        raise JsonError(f"a text that is not valid Unicode: the lone surrogate \\u{code:04x}") from None

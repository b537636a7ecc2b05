"""What callers hand in is checked before it goes to the database: the error names the value, not a line of SQL."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import excerpt
from .records import ROLES, STATES

LARGEST_ID = 2**31 - 1  # of a token


def check_columns(values: Mapping[str, Any], allowed: frozenset[str]) -> None:
    """ValueError for a name that is not allowed, and for a value that its column cannot hold."""
    for name, value in values.items():
        if name not in allowed:
            raise ValueError(f"[history] expected one of {', '.join(sorted(allowed))}, got {excerpt(name)}")
        _CHECKS[name](f"[history] {name}", value)


def check_text(where: str, value: object) -> None:
    """ValueError unless it is a text that is valid Unicode."""
    if not isinstance(value, str):
        raise ValueError(f"{where}: expected a text, got {excerpt(value)}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{where}: expected valid Unicode, got the lone surrogate U+{ord(value[error.start]):04X}"
        ) from None


def _text_or_none(where: str, value: object) -> None:
    if value is not None:
        check_text(where, value)


def _one_of(choices: tuple[str, ...]) -> Callable[[str, object], None]:
    def check(where: str, value: object) -> None:
        if value not in choices:
            expected = f"{', '.join(choices[:-1])} or {choices[-1]}"
            raise ValueError(f"{where}: expected {expected}, got {excerpt(value)}")

    return check


def _flag(where: str, value: object) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"{where}: expected True or False, got {excerpt(value)}")


def _position(where: str, value: object) -> None:
    if value is not None and not (isinstance(value, int) and 0 <= value <= LARGEST_ID):
        raise ValueError(f"{where}: expected a number from 0 to {LARGEST_ID}, or None, got {excerpt(value)}")


def _token_ids(where: str, value: Sequence[object]) -> None:
    for id in value:
        if not (isinstance(id, int) and 0 <= id <= LARGEST_ID):
            raise ValueError(f"{where}: expected numbers from 0 to {LARGEST_ID}, got {excerpt(id)}")


def check_json(where: str, value: object) -> None:
    """ValueError unless it is a value of JSON's kinds, of valid Unicode."""
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{where}: expected what JSON can hold, got {excerpt(value)} ({error})") from None


_CHECKS: dict[str, Callable[[str, Any], None]] = {
    "title": check_text,
    "system": check_text,
    "draft": check_text,
    "text": check_text,
    "name": check_text,
    "model": _text_or_none,
    "leaf": _text_or_none,
    "pinned": _flag,
    "role": _one_of(ROLES),
    "state": _one_of(STATES),
    "token_ids": _token_ids,
    "answer_begin": _position,
    "decoded_end": _position,
    "tokens": _position,
    "settings": check_json,
    "timings": check_json,
    "layout": check_json,
    "error": check_json,
    "dropped": check_json,
}

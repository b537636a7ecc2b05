"""Journals of JSON lines, which a kill may cut off at any byte: what of one can be used, and what it was made with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .regular_files import open_regular
from .strict_json import JsonError, parse


def line_of(value: Mapping[str, Any]) -> bytes:
    """One line of a journal. A lone surrogate becomes a question mark."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def as_read_back(value: Mapping[str, Any]) -> Any:
    """A value as a journal returns it: tuples are lists then."""
    return parse(json.dumps(value))


def whole_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The lines of a journal up to the first that is cut off or no JSON object, each with the offset of its end.

    Nothing where there is no journal. Raises OSError.
    """
    if not path.is_file():
        return
    end = 0
    with open_regular(path) as file:
        for line in file:
            try:
                value = parse(line, allow_nan=True)
            except JsonError:
                return
            if not line.endswith(b"\n") or not isinstance(value, dict):
                return
            end += len(line)
            yield end, value


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The names of settings whose values differ, those of inner objects with a dot."""
    names: list[str] = []
    for name in sorted(then.keys() | now.keys()):
        left, right = then.get(name), now.get(name)
        if left == right:
            continue
        if isinstance(left, dict) and isinstance(right, dict):
            names += [f"{name}.{inner}" for inner in differences(left, right).split(", ")]
        else:
            names.append(name)
    return ", ".join(names)

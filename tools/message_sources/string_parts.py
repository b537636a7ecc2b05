"""A string expression of Python as texts with places: f-strings, sums, % and both branches of a choice."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

_PERCENT = re.compile(r"%(?:\([\w]+\))?[-+ #0-9.]*[sdrfgx]")


class Places:
    """Names for the places of one text: that of a variable or attribute where it has one, else its number."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}  # name -> the expression that has it
        self._n = 0

    def of(self, value: ast.expr) -> str:
        """`{name}`; the same for the same expression."""
        source = ast.unparse(value)
        name = _name_of(value)
        if name is not None and self._names.setdefault(name, source) == source:
            return f"{{{name}}}"
        return self.numbered()

    def numbered(self) -> str:
        """`{0}`, `{1}`, …"""
        self._n += 1
        return f"{{{self._n - 1}}}"


def _name_of(value: ast.expr) -> str | None:
    while isinstance(value, ast.Call) and len(value.args) == 1 and not value.keywords:
        value = value.args[0]  # excerpt(name), str(name)
    if isinstance(value, ast.Attribute):
        return value.attr.lstrip("_")
    return value.id.lstrip("_") if isinstance(value, ast.Name) else None


def text_of(node: ast.expr, places: Places) -> str | None:
    """The text of a string expression, what is not literal as places; None where nothing of it is literal."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else places.of(part.value)  # type: ignore[attr-defined]
            for part in node.values
        )
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = text_of(node.left, places), text_of(node.right, places)
        if left is None and right is None:
            return None
        return (left if left is not None else places.of(node.left)) + (
            right if right is not None else places.of(node.right)
        )
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        left = text_of(node.left, places)
        return None if left is None else percent_places(left, places)
    return None


def percent_places(text: str, places: Places) -> str:
    """A text for `%`, with places in the other form."""
    return _PERCENT.sub(lambda _found: places.numbered(), text).replace("%%", "%")


def variable_parts(node: ast.expr) -> Iterator[ast.expr]:
    """What is not literal in a string expression: texts may be made there."""
    if isinstance(node, ast.JoinedStr):
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                yield part.value
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        for side in (node.left, node.right):
            if text_of(side, Places()) is None:
                yield side
            else:
                yield from variable_parts(side)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        right = node.right
        yield from right.elts if isinstance(right, ast.Tuple) else [right]

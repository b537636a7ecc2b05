"""The texts that Python marks where it shows them: t("…"), tn("…", "…"); and where it makes them: msg("…")."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from .found import Found
from .string_parts import Places, text_of

_MARKS = {"t": 1, "tn": 2, "msg": 1}  # mark -> how many texts it has


def marked_messages(files: Mapping[str, str]) -> Iterator[Found]:
    """Of many files: path relative to the repository -> source. ValueError for a mark without a literal text."""
    for path, source in files.items():
        for node in ast.walk(ast.parse(source, path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _MARKS:
                yield from _of_call(node, node.func.id, path)


def _of_call(call: ast.Call, mark: str, path: str) -> Iterator[Found]:
    texts = [text_of(argument, Places()) for argument in call.args[: _MARKS[mark]]]
    is_variable = len(call.args) == 1 and not isinstance(call.args[0], (ast.Constant, ast.JoinedStr))
    if is_variable and mark == "t":  # of a text that is marked where it is made
        return
    if mark == "msg" and isinstance(call.args[0], ast.JoinedStr):
        return  # error_messages follows what it is made from
    if len(texts) < _MARKS[mark] or None in texts or isinstance(call.args[0], ast.JoinedStr):
        raise ValueError(f"{path}:{call.lineno}: {mark}() needs a literal text, got {ast.unparse(call)}")
    yield Found(str(texts[0]), path, call.lineno, texts[1] if mark == "tn" else None, marked=True)

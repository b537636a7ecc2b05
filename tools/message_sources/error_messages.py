"""The texts of errors and warnings, followed from where they are raised to where they are made.

What an error is made from may be a variable, a parameter, an entry of a table or what a function returns. So the
literals are looked for there: in assignments of the same function, in the calls of the function, in the table, in the
returns. Names decide, over all files together; nothing is imported.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from .found import Found, is_message
from .string_parts import Places, percent_places, text_of, variable_parts

# Raised for programmers, or caught by Python itself.
INTERNAL = frozenset({"AssertionError", "NotImplementedError", "StopIteration", "AttributeError", "KeyError"})
_LOG_METHODS = frozenset({"warning", "error", "info"})
_LOGGERS = frozenset({"LOGGER", "_LOGGER", "_log", "logger"})
# What else ends before people: arguments of these calls, under these keywords, in lists of these names.
_CALLS = {"Evidence": (0, 1), "Available": (1,), "say": (0,), "terminal_progress": (0,)}
_KEYWORDS = frozenset({"warnings", "suspicion", "fallback", "error"})
_LISTS = frozenset({"warnings", "problems", "notes", "conflicts"})
_TEXT_METHODS = frozenset({"removeprefix", "removesuffix", "strip", "rstrip", "lstrip", "capitalize"})
_THROUGH = frozenset({"bounded", "printable_line", "str", "msg", "next", "iter"})
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class _Scope:
    """A function, or a module: what its names stand for."""

    path: str
    node: _Function | ast.Module
    parent: _Scope | None
    assigned: dict[str, list[ast.expr]] = field(default_factory=lambda: defaultdict(list))

    def parameters(self) -> list[str]:
        if isinstance(self.node, ast.Module):
            return []
        arguments = self.node.args
        names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
        return names[1:] if names[:1] in (["self"], ["cls"]) else names


class ErrorMessages:
    """The texts of many files."""

    def __init__(self, files: Mapping[str, str]) -> None:
        """files: path relative to the repository -> source."""
        self._found: dict[tuple[str, str, int], Found] = {}
        self._calls: dict[str, list[tuple[_Scope, ast.Call]]] = defaultdict(list)
        self._returns: dict[str, list[tuple[_Scope, ast.expr]]] = defaultdict(list)
        self._raised: list[tuple[_Scope, ast.expr]] = []
        self._seen: set[int] = set()
        for path, source in files.items():
            module = ast.parse(source, path)
            self._read(module, _Scope(path, module, None))

    def found(self) -> list[Found]:
        """All of them, in the order of files and lines."""
        for scope, expression in self._raised:
            self._follow(expression, scope)
        return sorted(self._found.values(), key=lambda found: (found.path, found.line, found.text))

    def _read(self, node: ast.AST, scope: _Scope) -> None:
        for child in ast.iter_child_nodes(node):
            inner = scope
            if isinstance(child, _Function):
                inner = _Scope(scope.path, child, scope)
            elif isinstance(child, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.NamedExpr)):
                _note_assignment(child, scope)
                if child.value is not None and any(
                    _last_name(target) in _LISTS for target in _targets(child)
                ):
                    self._raised.append((scope, child.value))
            elif isinstance(child, (ast.Return, ast.Yield, ast.YieldFrom)) and child.value is not None:
                self._returns[getattr(scope.node, "name", "")].append((scope, child.value))
            elif isinstance(child, ast.Call):
                self._note_call(child, scope)
            self._read(child, inner)

    def _note_call(self, call: ast.Call, scope: _Scope) -> None:
        name = _called(call)
        self._calls[name].append((scope, call))
        self._raised += [(scope, call.args[i]) for i in _CALLS.get(name, ()) if i < len(call.args)]
        self._raised += [(scope, keyword.value) for keyword in call.keywords if keyword.arg in _KEYWORDS]
        if name in ("append", "extend") and _last_name(call.func, skip=1) in _LISTS:
            self._raised += [(scope, argument) for argument in call.args]
        if name.endswith(("Error", "Warning", "Exception")) and name not in INTERNAL:
            self._raised += [(scope, argument) for argument in call.args[:1]]
        elif name == "warn" and call.args:
            self._raised.append((scope, call.args[0]))
        elif name in _LOG_METHODS and call.args and _receiver(call) in _LOGGERS:
            self._raised += [(scope, argument) for argument in call.args]
        elif _is_given_a_message(call, name):
            self._raised.append((scope, call.args[0]))

    def _follow(self, node: ast.expr, scope: _Scope) -> None:
        """Note the texts of an expression, wherever they are made."""
        if id(node) in self._seen:
            return
        self._seen.add(id(node))
        places = Places()
        if (text := text_of(node, places)) is not None:
            if isinstance(node, ast.Constant):
                text = percent_places(text, places) if "%" in text else text
            self._note(text, scope.path, node.lineno)
            for part in variable_parts(node):
                self._follow(part, scope)
        else:
            for part, where in self._sources(node, scope):
                self._follow(part, where)

    def _sources(self, node: ast.expr, scope: _Scope) -> Iterator[tuple[ast.expr, _Scope]]:
        """What an expression that is no literal comes from."""
        if isinstance(node, ast.IfExp):
            yield from ((node.body, scope), (node.orelse, scope))
        elif isinstance(node, ast.BoolOp):
            yield from ((value, scope) for value in node.values)
        elif isinstance(node, ast.NamedExpr):
            yield node.value, scope
        elif isinstance(node, (ast.Dict, ast.Tuple, ast.List)):
            values = node.values if isinstance(node, ast.Dict) else node.elts
            yield from ((value, scope) for value in values)
        elif isinstance(node, (ast.GeneratorExp, ast.ListComp)):
            yield node.elt, scope
        elif isinstance(node, (ast.Subscript, ast.Starred)):
            yield node.value, scope
        elif isinstance(node, ast.Name):
            yield from self._named(node.id, scope)
        elif isinstance(node, ast.Call):
            yield from self._call(node, scope)

    def _named(self, name: str, scope: _Scope) -> Iterator[tuple[ast.expr, _Scope]]:
        """A variable: what it is assigned to, or what the function is called with."""
        where: _Scope | None = scope
        while where is not None:
            if name in where.assigned:
                yield from ((value, where) for value in where.assigned[name])
                return
            if name in where.parameters() or name in _keyword_only(where.node):
                yield from self._arguments(name, where)
                return
            where = where.parent

    def _arguments(self, name: str, scope: _Scope) -> Iterator[tuple[ast.expr, _Scope]]:
        positions = scope.parameters()
        for where, call in self._calls[getattr(scope.node, "name", "")]:
            if name in positions and positions.index(name) < len(call.args):
                yield call.args[positions.index(name)], where
            yield from ((keyword.value, where) for keyword in call.keywords if keyword.arg == name)

    def _call(self, call: ast.Call, scope: _Scope) -> Iterator[tuple[ast.expr, _Scope]]:
        name = _called(call)
        if name in _THROUGH and call.args:
            yield from ((argument, scope) for argument in call.args)
        elif name == "get" and isinstance(call.func, ast.Attribute):
            yield call.func.value, scope
            yield from ((argument, scope) for argument in call.args[1:])
        elif name in _TEXT_METHODS and isinstance(call.func, ast.Attribute):
            yield call.func.value, scope
        elif name == "join" and call.args:
            yield call.args[0], scope
        elif len(self._returns[name]) <= 12:  # a name that many functions have says nothing
            yield from ((value, where) for where, value in self._returns[name])

    def _note(self, text: str, path: str, line: int) -> None:
        if is_message(text) and "\n" not in text.strip():
            self._found[text, path, line] = Found(text, path, line)


def _is_given_a_message(call: ast.Call, name: str) -> bool:
    """`parser.error(text)`; `msg(f"…")`: those with a literal are found as marks."""
    if name == "error":
        return bool(call.args) and isinstance(call.func, ast.Attribute)
    return name == "msg" and not isinstance(call.args[0], ast.Constant)


def _note_assignment(node: ast.Assign | ast.AnnAssign | ast.AugAssign | ast.NamedExpr, scope: _Scope) -> None:
    for target in _targets(node):
        if isinstance(target, ast.Name) and node.value is not None:
            scope.assigned[target.id].append(node.value)
        elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            for name, value in zip(target.elts, node.value.elts, strict=False):
                if isinstance(name, ast.Name):
                    scope.assigned[name.id].append(value)


def _targets(node: ast.Assign | ast.AnnAssign | ast.AugAssign | ast.NamedExpr) -> Iterable[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target]


def _last_name(node: ast.expr, *, skip: int = 0) -> str:
    """`warnings` of `self._warnings`; with skip=1 of `self._warnings.append`."""
    for _ in range(skip):
        node = node.value if isinstance(node, ast.Attribute) else node
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name.lstrip("_")


def _called(call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _receiver(call: ast.Call) -> str:
    return (
        call.func.value.id
        if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name)
        else ""
    )


def _keyword_only(node: _Function | ast.Module) -> set[str]:
    return set() if isinstance(node, ast.Module) else {argument.arg for argument in node.args.kwonlyargs}

"""Methods of Python's own types that a template may call, each with a bound on what it makes."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterable, KeysView, Mapping, ValuesView
from typing import Any

from .limits import Budget, TemplateLimitError

# fmt: off
_PLAIN = frozenset((
    "strip", "lstrip", "rstrip", "lower", "upper", "title", "capitalize", "swapcase", "casefold",
    "split", "rsplit", "splitlines", "partition", "rpartition", "startswith", "endswith", "find",
    "rfind", "index", "rindex", "count", "removeprefix", "removesuffix", "isalnum", "isalpha", "isascii",
    "isdecimal", "isdigit", "isidentifier", "islower", "isnumeric", "isprintable", "isspace", "istitle",
    "isupper", "get", "items", "keys", "values", "copy", "is_integer", "bit_length", "union",
    "intersection", "difference", "symmetric_difference", "issubset", "issuperset", "isdisjoint", "hex",
    "unescape", "striptags",
))
# fmt: on
_OF_BYTES = frozenset({"decode", "hex", "startswith", "endswith", "find", "count", "lower", "upper"})
_CODECS = frozenset({"utf-8", "utf8", "ascii", "latin-1", "latin1"})
_MOST_PAIRS, _PAIRS_PER_STEP = 100_000_000, 4000
_MOST_STRIPPED = 20_000  # characters in which tags are looked for
_OWN = (str, bytes, list, tuple, dict, int, float, range, set, frozenset, KeysView, ValuesView, ItemsView)

# Arguments of a call: the list, replaced where an iterator had to be read.
Arguments = tuple[Any, ...]


def is_own(value: Any) -> bool:
    """Whether `value` is of a type whose methods are checked here."""
    return isinstance(value, _OWN)


def check_method(
    budget: Budget, owner: Any, name: str, arguments: Arguments, named: Mapping[str, Any]
) -> Arguments:
    """The arguments to call `owner.name` with. Raises TemplateLimitError for what is too large, or not allowed."""
    if not isinstance(owner, (dict, list, tuple)) or name in ("count", "index"):
        budget.read(owner)
    guard = _GUARDS.get(name)
    known = name in _OF_BYTES if isinstance(owner, bytes) else guard is not None or name in _PLAIN
    if known and guard is not None:
        return guard(budget, owner, arguments, named)
    if not known:
        raise TemplateLimitError(f"it calls {type(owner).__name__}.{name}, which no template needs")
    if name == "striptags" and len(owner) > _MOST_STRIPPED:
        raise TemplateLimitError(f"it strips tags from more than {_MOST_STRIPPED} characters")
    return arguments


def _padding(budget: Budget, _owner: Any, arguments: Arguments, _named: Mapping[str, Any]) -> Arguments:
    budget.check_width(arguments[0] if arguments else 0)
    return arguments


def _tabs(budget: Budget, owner: Any, arguments: Arguments, named: Mapping[str, Any]) -> Arguments:
    size = arguments[0] if arguments else named.get("tabsize", 8)
    budget.check_width(size)
    if isinstance(owner, str) and isinstance(size, int):
        budget.check_text(len(owner) + owner.count("\t") * max(0, size))
    return arguments


def _replace(budget: Budget, owner: Any, arguments: Arguments, named: Mapping[str, Any]) -> Arguments:
    if len(arguments) >= 2:
        count = arguments[2] if len(arguments) > 2 else named.get("count")
        check_replacement(budget, owner, arguments[0], arguments[1], count)
    return arguments


def check_replacement(budget: Budget, text: Any, old: Any, new: Any, count: Any = None) -> None:
    """For text.replace(old, new, count)."""
    if isinstance(text, str) and isinstance(old, str) and isinstance(new, str):
        found = text.count(old)
        if isinstance(count, int) and count >= 0:
            found = min(found, count)
        budget.check_text(len(text) + found * max(0, len(new) - len(old)))


def _join(budget: Budget, owner: Any, arguments: Arguments, _named: Mapping[str, Any]) -> Arguments:
    if len(arguments) != 1:
        return arguments
    return (joined_items(budget, owner, arguments[0]),)


def joined_items(budget: Budget, separator: Any, items: Iterable[Any]) -> Any:
    """`items` as a list, if what joins them is short enough."""
    if isinstance(items, str):
        budget.check_items(len(items))
        n_items, size = len(items), len(items)
    else:
        items = list(items)
        n_items, size = len(items), budget.read(items)
    budget.check_text(size + n_items * len(str(separator)))
    return items


def _translate(budget: Budget, owner: Any, arguments: Arguments, _named: Mapping[str, Any]) -> Arguments:
    table = arguments[0] if arguments else None
    if isinstance(table, dict):
        longest = max((len(value) for value in table.values() if isinstance(value, str)), default=1)
    else:  # a text, a list: indexed by code point
        longest = max((len(value) for value in table or () if isinstance(value, str)), default=1)
    budget.check_text(len(owner) * max(1, longest))
    return arguments


def _code(_budget: Budget, owner: Any, arguments: Arguments, named: Mapping[str, Any]) -> Arguments:
    encoding = arguments[0] if arguments else named.get("encoding", "utf-8")
    if str(encoding).lower() not in _CODECS:
        raise TemplateLimitError(
            f"it asks for the encoding {str(encoding)[:20]!r}: utf-8, ascii and latin-1 are known"
        )
    return arguments


def _pairs(budget: Budget, owner: Any, arguments: Arguments, named: Mapping[str, Any]) -> Arguments:
    """Searches from the end, and stripping a set of characters: Python compares each with each."""
    for given in (*arguments, *named.values()):
        check_pairs(budget, owner, given)
    return arguments


def check_pairs(budget: Budget, text: Any, sought: Any) -> None:
    """For work that grows with len(text) * len(sought)."""
    if isinstance(text, (str, bytes)) and isinstance(sought, (str, bytes)):
        n_pairs = len(text) * len(sought)
        if n_pairs > _MOST_PAIRS:
            raise TemplateLimitError(f"it searches a text of {len(text)} characters for {len(sought)} others")
        budget.step(n_pairs // _PAIRS_PER_STEP)


def _format(_budget: Budget, _owner: Any, arguments: Arguments, _named: Mapping[str, Any]) -> Arguments:
    return arguments  # checked field by field in operators.BoundedFormatter


_GUARDS: Mapping[str, Callable[[Budget, Any, Arguments, Mapping[str, Any]], Arguments]] = {
    "center": _padding,
    "ljust": _padding,
    "rjust": _padding,
    "zfill": _padding,
    "expandtabs": _tabs,
    "replace": _replace,
    "rfind": _pairs,
    "rindex": _pairs,
    "rsplit": _pairs,
    "rpartition": _pairs,
    "strip": _pairs,
    "lstrip": _pairs,
    "rstrip": _pairs,
    "join": _join,
    "translate": _translate,
    "encode": _code,
    "decode": _code,
    "format": _format,
    "format_map": _format,
}

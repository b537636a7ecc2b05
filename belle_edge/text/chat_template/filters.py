"""Jinja's filters and tests with a bound on what each of them makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from .limits import Budget, TemplateLimitError
from .methods import check_pairs, check_replacement, joined_items
from .operators import binary, check_percent_format

_SHALLOW = frozenset({"length", "count", "first", "last", "default", "d", "defined", "undefined", "none"})
_MOST_SEARCHED = 20_000  # characters for filters whose time grows faster than their text
_LONGEST_NUMBER = 400  # digits
_MOST_DIGITS = 100  # of precision

Guard = Callable[..., Any]


def bounded(
    name: str, function: Callable[..., Any], budget: Budget, guards: Mapping[str, Guard]
) -> Callable[..., Any]:
    """`function`, a filter or test, charged for what it reads and makes."""
    n_own = int(hasattr(function, "jinja_pass_arg"))  # Jinja puts its context before the value
    guard, shallow = guards.get(name), name in _SHALLOW

    @wraps(function)
    def charged(*arguments: Any, **named: Any) -> Any:
        budget.step()
        own, given = arguments[:n_own], arguments[n_own:]
        if not shallow:
            for value in (*given, *named.values()):
                budget.read(value)
        if guard is not None and given:
            given = (guard(budget, *given, **named), *given[1:])
        result = function(*own, *given, **named)
        return result if shallow else budget.make(result)

    return charged


def _center(budget: Budget, value: Any, width: Any = 80) -> Any:
    budget.check_width(width)
    return value


def _indent(budget: Budget, value: Any, width: Any = 4, first: Any = False, blank: Any = False) -> Any:
    budget.check_width(width)
    text = str(value)
    budget.check_text(
        len(text) + (len(text.splitlines()) + 1) * (len(width) if isinstance(width, str) else int(width))
    )
    return value


def _wordwrap(
    budget: Budget,
    value: Any,
    width: Any = 79,
    break_long_words: Any = True,
    wrapstring: Any = None,
    **_: Any,
) -> Any:
    _search(budget, value)
    if isinstance(wrapstring, str):
        budget.check_text((len(str(value)) + 1) * (1 + len(wrapstring)))
    return value


def _trim(budget: Budget, value: Any, chars: Any = None) -> Any:
    check_pairs(budget, value, chars)
    return value


def _search(budget: Budget, value: Any, *_arguments: Any, **_named: Any) -> Any:
    if budget.read(value) > _MOST_SEARCHED:
        raise TemplateLimitError(f"it uses a filter that is slow on more than {_MOST_SEARCHED} characters")
    return value


def _escaped(budget: Budget, value: Any, *_arguments: Any, **_named: Any) -> Any:
    budget.check_text(5 * budget.read(value))
    return value


def _replace(budget: Budget, value: Any, old: Any, new: Any, count: Any = None) -> Any:
    check_replacement(budget, str(value), str(old), str(new), count)
    return value


def _listed(budget: Budget, value: Any, *_arguments: Any, **_named: Any) -> Any:
    """Of a text every character becomes a text of its own."""
    if isinstance(value, str):
        budget.check_items(len(value))
    return value


def _join(budget: Budget, value: Any, d: Any = "", attribute: Any = None) -> Any:
    return joined_items(budget, d, value)


def _format(budget: Budget, value: Any, *arguments: Any, **named: Any) -> Any:
    check_percent_format(budget, str(value), named or arguments)
    return value


def _batch(budget: Budget, value: Any, linecount: Any, fill_with: Any = None) -> Any:
    if isinstance(linecount, (int, float)):
        budget.check_items(int(linecount))
    return _listed(budget, value)


def _number(_budget: Budget, value: Any, *_arguments: Any, **_named: Any) -> Any:
    if isinstance(value, (str, bytes)) and len(value) > _LONGEST_NUMBER:
        raise TemplateLimitError(f"it reads a number of more than {_LONGEST_NUMBER} digits")
    return value


def _round(_budget: Budget, value: Any, precision: Any = 0, method: Any = "common") -> Any:
    if isinstance(precision, (int, float)) and abs(precision) > _MOST_DIGITS:
        raise TemplateLimitError(f"it rounds to {precision:.6g} digits, the limit is {_MOST_DIGITS}")
    return value


def _sum(budget: Budget, value: Any, attribute: Any = None, start: Any = 0) -> Any:
    """Numbers only: sums of lists copy what was added so far at each step."""
    if isinstance(start, (list, tuple)):
        total = start
        items = list(value)
        for item in items if attribute is None else ():
            total = binary(budget, "+", total, item)
        if attribute is not None:
            raise TemplateLimitError("it adds lists by an attribute")
        return [total] if items else []
    return value


def _tojson(
    budget: Budget,
    x: Any,
    ensure_ascii: Any = False,
    indent: Any = None,
    separators: Any = None,
    sort_keys: Any = False,
) -> Any:
    wide = len(indent) if isinstance(indent, str) else indent if isinstance(indent, int) else 0
    between = sum(len(part) for part in separators if isinstance(part, str)) if separators else 4
    if wide > 64 or between > 64:
        raise TemplateLimitError(
            "it writes JSON with an indentation or separators of more than 64 characters"
        )
    budget.check_text(budget.read(x) * (1 + between + max(0, wide) * (1 if wide else 0)))
    return x


def _slices(budget: Budget, value: Any, slices: Any, fill_with: Any = None) -> Any:
    if isinstance(slices, (int, float)):
        budget.check_items(int(slices))
    return _listed(budget, value)


FILTER_GUARDS: Mapping[str, Guard] = {
    "center": _center,
    "trim": _trim,
    "indent": _indent,
    "wordwrap": _wordwrap,
    "urlize": _search,
    "striptags": _search,
    "pprint": _search,
    "xmlattr": _search,
    "title": _search,
    "urlencode": _escaped,
    "escape": _escaped,
    "e": _escaped,
    "forceescape": _escaped,
    "replace": _replace,
    "join": _join,
    "format": _format,
    "batch": _batch,
    "slice": _slices,
    "list": _listed,
    "sort": _listed,
    "unique": _listed,
    "groupby": _listed,
    "int": _number,
    "float": _number,
    "filesizeformat": _number,
    "round": _round,
    "sum": _sum,
    "tojson": _tojson,
}

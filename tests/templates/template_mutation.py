# ruff: noqa: E501
"""Seeded changes of templates: pieces cut, doubled, swapped and mixed, numbers made large."""

from __future__ import annotations

import random
import re

_TOKEN = re.compile(r"\{[%{#]-?|-?[%}#]\}|'[^'\n]*'|\"[^\"\n]*\"|\w+|\s+|.", re.DOTALL)
_NUMBERS = ("0", "-1", "99", "99999", "4000000000", "10**9", "10**18", "2**61", "1e400", "0.5")
_PIECES = (
    "'x'", "messages", "none", "[]", "{}", "loop", "range(99999)", "('x' * 3999999)", "namespace()", "self", "caller()",
    "{% for a in range(99999) %}", "{% endfor %}", "{% set n.x = [n.x, n.x] %}", "{% set x = x ~ x %}", "{% break %}",
    "{% endmacro %}", "{% if 1 %}", "{% endif %}", "{{ x }}", "{% generation %}", "{% block b %}", "{% raw %}", "\x1b[2J",
    " | ", "**", "*", "+", "~", "%", ".", "[", "]", "(", ")", ",", ":", "==", " in ", " is ", "not ", "\\", "'", "\ud800",
    " | join", " | list", " | tojson(indent=9)", " | center(9999)", " | batch(9)", " | map('upper')", " | sort", " | string",
    " | unique", " | sum", " | groupby('role')", ".ljust(9999)", ".format(1)", ".replace('', 'xx')", ".split()", ".join",
)  # fmt: skip


_TAILS = (
    " | join", " | list", " | tojson(indent=9)", " | center(9999)", " | batch(9) | list", " | sort", " | string", " | unique | list",
    " | groupby('role')", " | replace('', 'xx')", " | indent(999)", " | length", " | reverse", " | first", " | e", " | upper",
    " | map('center', 999) | list", " | slice(99) | list", " | sum(start=[])", " | int", " | round(-99)", " | pprint", " | format(9)",
    ".ljust(9999)", ".format(1)", ".replace('', 'xx')", ".split()", ".join('abc')", ".encode()", ".items()", ".get('x')", "[::-1]",
    " * 99999", " * 4000000000", " ** 99", " + messages", " ~ messages", " % 9999", " == messages", " in messages", " is mapping",
    "()", "[0]", "['x']", ".x.y", " if messages else 0", " * 999 * 999 * 999",
)  # fmt: skip
_STATEMENTS = (
    ("{% for a in range(9999) %}", "{% endfor %}"), ("{% for a in messages recursive %}", "{{ loop(messages) }}{% endfor %}"),
    ("{% macro m() %}", "{{ m() }}{% endmacro %}{{ m() }}"), ("{% set x %}", "{% endset %}{{ x }}{{ x }}"),
    ("{% filter upper %}", "{% endfilter %}"), ("{% generation %}", "{% endgeneration %}"), ("{% if messages %}", "{% endif %}"),
    ("{% autoescape true %}", "{% endautoescape %}"), ("{% call cycler(1) %}", "{% endcall %}"), ("{% raw %}", "{% endraw %}"),
    ("{% set n = namespace(x='ab') %}{% for a in range(40) %}{% set n.x = n.x ~ n.x %}{% endfor %}", "{{ n.x }}"),
    ("{% set n = namespace(x=[1]) %}{% for a in range(40) %}{% set n.x = [n.x, n.x] %}{% endfor %}", "{{ n.x }}"),
    ("{% set messages = messages * 9999 %}", ""), ("{% set eos_token = eos_token * 99999 %}", ""), ("{% block b %}", "{% endblock %}{{ self.b() }}"),
)  # fmt: skip


def mutated(source: str, other: str, rng: random.Random) -> str:
    """`source` with one to eight changes: mostly such that keep it a template, some that bring in parts of `other`."""
    tokens, others = _TOKEN.findall(source), _TOKEN.findall(other)
    changes = _CHANGES if rng.random() < 0.3 else _SOUND_CHANGES
    for _ in range(rng.choice((1, 1, 2, 3, 5, 8))):
        at = rng.randrange(len(tokens) + 1)
        rng.choice(changes)(tokens, others, at, rng)
    return "".join(tokens)


def _continue(tokens: list[str], _others: list[str], _at: int, rng: random.Random) -> None:
    """Something more is done with a value."""
    places = [index for index, token in enumerate(tokens) if token[:1] in ("'", '"') or token in _VALUES]
    if places:
        tokens[rng.choice(places)] += rng.choice(_TAILS)


def _surround(tokens: list[str], _others: list[str], _at: int, rng: random.Random) -> None:
    """A statement around a part between two tags."""
    places = [index for index, token in enumerate(tokens) if token.startswith("{")] + [len(tokens)]
    first, last = sorted((rng.choice(places), rng.choice(places)))
    before, after = rng.choice(_STATEMENTS)
    tokens.insert(last, after)
    tokens.insert(first, before)


def _cut(tokens: list[str], _others: list[str], at: int, rng: random.Random) -> None:
    del tokens[at : at + rng.choice((1, 1, 2, 5, 20))]


def _double(tokens: list[str], _others: list[str], at: int, rng: random.Random) -> None:
    piece = tokens[at : at + rng.choice((1, 3, 10, 40))]
    tokens[at:at] = piece * rng.choice((1, 2, 9, 60))


def _insert(tokens: list[str], _others: list[str], at: int, rng: random.Random) -> None:
    tokens.insert(at, rng.choice(_PIECES))


def _replace(tokens: list[str], _others: list[str], at: int, rng: random.Random) -> None:
    tokens[at : at + 1] = [rng.choice(_PIECES)]


def _swap(tokens: list[str], _others: list[str], at: int, rng: random.Random) -> None:
    if tokens:
        first, second = at % len(tokens), rng.randrange(len(tokens))
        tokens[first], tokens[second] = tokens[second], tokens[first]


def _mix(tokens: list[str], others: list[str], at: int, rng: random.Random) -> None:
    start = rng.randrange(len(others) + 1)
    tokens[at:at] = others[start : start + rng.choice((3, 10, 40, 200))]


def _number(tokens: list[str], _others: list[str], _at: int, rng: random.Random) -> None:
    places = [index for index, token in enumerate(tokens) if token.isdigit()]
    if places:
        tokens[rng.choice(places)] = rng.choice(_NUMBERS)


_CHANGES = (_cut, _double, _insert, _replace, _swap, _mix, _mix, _number, _number)
_SOUND_CHANGES = (_continue, _continue, _continue, _number, _surround)
_VALUES = frozenset(
    {
        "message",
        "messages",
        "content",
        "tools",
        "x",
        "eos_token",
        "bos_token",
        "role",
        "system_message",
        "index0",
    }
)

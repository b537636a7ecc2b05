"""The language of this process, which the command line sets; a library that nobody told anything speaks English."""

from __future__ import annotations

from typing import Any

from .translator import Translator, translator

_current = translator("en")


def use_language(language: str) -> None:
    """What `t` and `tn` translate to from now on: one of LANGUAGES. ValueError for another."""
    global _current
    _current = translator(language)


def current_translator() -> Translator:
    """The translator of `t` and `tn`."""
    return _current


def t(text: str, /, **values: Any) -> str:
    """`text` in the language of this process, with `values` in place of its `{name}`s."""
    return _current.text(text, **values)


def tn(one: str, several: str, /, *, n: int, **values: Any) -> str:
    """As `t`, in the form for the number n, which is a value too."""
    return _current.plural(one, several, n=n, **values)


def said(message: str) -> str:
    """A finished English message in the language of this process, as far as its parts are known."""
    return _current.message(message)


def msg(text: str) -> str:
    """`text` itself: marks what is translated when it is shown, by `t` or as a message."""
    return text

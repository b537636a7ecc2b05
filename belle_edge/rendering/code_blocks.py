"""Code in colours: Pygments' classes, no inline style."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from html import escape

from pygments import lex
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES
from pygments.util import ClassNotFound

MAX_COLOURED_CHARS = 20_000  # longer code is plain: lexers are regular expressions over strangers' text
MAX_COLOURED_LINE = 2_000
END = "</code></pre></figure>\n"
_LANGUAGE = re.compile(r"[\w+#.\-]{1,32}")
_PLAIN = frozenset({"", "text", "txt", "plain", "plaintext", "none", "output"})
_UNCOLOURED = frozenset({"", "n", "p", "w"})  # names, punctuation and space look like the text around them


def code_block(code: str, info: str) -> str:
    """A figure with the language as its caption. info: what stands behind the fence; an unknown language is plain."""
    return f"{head_of(info)}{coloured(code, language_of(info))}{END}"


def language_of(info: str) -> str:
    """The language that stands behind a fence; empty where there is none."""
    found = _LANGUAGE.match(info.strip())
    return found[0] if found else ""


def head_of(info: str) -> str:
    """The HTML before the code."""
    name = escape(language_of(info))
    return f'<figure class="code" data-language="{name}"><figcaption>{name}</figcaption><pre><code>'


def coloured(code: str, language: str) -> str:
    """The HTML of code: spans with Pygments' short classes (k, s1, …) around escaped text."""
    tokens = tokens_of(code, language)
    return escape(code, quote=False) if tokens is None else html_of_tokens(tokens)


def tokens_of(code: str, language: str) -> list[tuple[str, str]] | None:
    """Code in pieces (class, text); None where it is plain. Neighbours have different classes."""
    lexer = _lexer(language.lower())
    if lexer is None or len(code) > MAX_COLOURED_CHARS or max(map(len, code.split("\n"))) > MAX_COLOURED_LINE:
        return None
    pieces: list[tuple[str, str]] = []
    for kind, text in lex(code, lexer):
        while (name := STANDARD_TYPES.get(kind)) is None:
            kind = kind.parent
        name = "" if name in _UNCOLOURED or not text.strip() else name
        if pieces and pieces[-1][0] == name:
            pieces[-1] = name, pieces[-1][1] + text
        else:
            pieces.append((name, text))
    return pieces


def html_of_tokens(tokens: Iterable[tuple[str, str]]) -> str:
    """The HTML of pieces of code."""
    return "".join(
        f'<span class="{name}">{escape(text, quote=False)}</span>' if name else escape(text, quote=False)
        for name, text in tokens
    )


def split_tokens(
    tokens: Sequence[tuple[str, str]], at: int
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The pieces before and behind a place in the text."""
    before: list[tuple[str, str]] = []
    for index, (name, text) in enumerate(tokens):
        if at < len(text):
            behind = [(name, text[at:]), *tokens[index + 1 :]]
            return before + ([(name, text[:at])] if at else []), behind
        before.append((name, text))
        at -= len(text)
    return before, []


@lru_cache(maxsize=64)
def _lexer(language: str) -> Lexer | None:
    if language in _PLAIN:
        return None
    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None

"""HTML and SVG by construction: whatever was not made here is text, and is escaped; what cannot be seen is shown."""

from __future__ import annotations

import re
from html import escape

_VOID = frozenset({"input", "link", "meta", "br"})
# Controls but tab and line feed, what turns text around or hides in it, lone surrogates, noncharacters.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff\U000e0000-\U000e007f]"
)


_UNSEEN_RUN = re.compile(rf"({_UNSEEN.pattern})\1*")


class Markup(str):
    """HTML that `tag` or `joined` made. Every other string is a stranger's text."""

    __slots__ = ()


def tag(name: str, /, *children: str | None, **attributes: str | float | bool | None) -> Markup:
    """One element. children: Markup as it is, text escaped, None left out.

    attributes: `class_` is class, `aria_label` is aria-label; True has no value, None and False
    leave it out.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{joined(*children)}</{name}>")


def joined(*children: str | None) -> Markup:
    """Elements and texts one behind the other."""
    return Markup(
        "".join(child if isinstance(child, Markup) else visible(child) for child in children if child)
    )


def visible(text: str) -> Markup:
    """Text as HTML on lines that end with LF: `<span class="unseen">U+202E</span>` for a character nobody sees.

    A run of the same one is shown once, with its length.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    written, end = [], 0
    for run in _UNSEEN_RUN.finditer(lines):
        times = f"×{len(run[0])}" if len(run[0]) > 1 else ""
        written += [
            escape(lines[end : run.start()], quote=False),
            f'<span class="unseen">{_name(run[1])}{times}</span>',
        ]
        end = run.end()
    return Markup("".join([*written, escape(lines[end:], quote=False)]))


def line(text: str, n_chars: int = 80) -> str:
    """A name as one line of text, its middle left out where it is longer."""
    words = " ".join(text.split())
    if len(words) <= n_chars:
        return words
    end = n_chars // 2
    return f"{words[: n_chars - end - 1]}…{words[-end:]}"


def _attribute(key: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    if isinstance(value, float):
        value = f"{value:.1f}".removesuffix(".0")
    return f' {name}="{escape(_UNSEEN.sub(lambda found: _name(found[0]), str(value)))}"'


def _name(char: str) -> str:
    return f"U+{ord(char):04X}"

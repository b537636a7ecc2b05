"""LaTeX formulas as MathML, which browsers draw.

latex2mathml makes a tree. Only elements and attributes on the lists below go on, and all text is escaped here: nothing
of the formula can become an element. What cannot be parsed is shown as its source.
"""

from __future__ import annotations

import re
from functools import lru_cache
from html import escape
from xml.etree.ElementTree import Element

from latex2mathml.converter import convert_to_element

MAX_CHARS = 2_000
MAX_DEPTH = 60  # of the tree
ELEMENTS = frozenset(
    {
        *(
            "math",
            "menclose",
            "mfrac",
            "mi",
            "mn",
            "mo",
            "mover",
            "mpadded",
            "mphantom",
            "mroot",
            "mrow",
            "mspace",
        ),
        *(
            "msqrt",
            "mstyle",
            "msub",
            "msubsup",
            "msup",
            "mtable",
            "mtd",
            "mtext",
            "mtr",
            "munder",
            "munderover",
        ),
    }
)
_LENGTH = re.compile(r"[+-]?\d{0,2}(\.\d{1,4})?(em|ex|px|pt|mu)?")
_WORDS = re.compile(r"[a-z-]{1,24}( [a-z-]{1,24}){0,31}")
_LENGTHS = re.compile(r"\d(\.\d)?em( \d(\.\d)?em){0,31}")
_COLOUR = re.compile(r"#[0-9a-fA-F]{3,6}|[a-zA-Z]{1,24}")
ATTRIBUTES = {
    **dict.fromkeys(
        (
            "columnalign",
            "columnlines",
            "rowlines",
            "form",
            "fence",
            "stretchy",
            "movablelimits",
            "largeop",
            "accent",
        ),
        _WORDS,
    ),
    **dict.fromkeys(
        ("displaystyle", "mathvariant", "notation", "separator", "symmetric", "accentunder"), _WORDS
    ),
    **dict.fromkeys(
        ("width", "height", "depth", "lspace", "rspace", "voffset", "minsize", "maxsize"), _LENGTH
    ),
    "linethickness": _LENGTH,
    "scriptlevel": re.compile(r"[+-]?\d"),
    "columnspacing": _LENGTHS,
    "mathcolor": _COLOUR,
    "mathbackground": _COLOUR,
}
# Own commands would grow without bound. Links, classes, styles and foreign characters are no mathematics.
_REFUSED = re.compile(
    r"\\(?:(?:re)?newcommand|providecommand|[egx]?def|let|html\w*|href|url|class|cssId|style|unicode)(?![a-zA-Z])"
)
_REFERENCE = re.compile(r"&#x([0-9A-Fa-f]{1,6});")


class _NotShown(ValueError):
    """A formula with something that is not on the lists."""


@lru_cache(maxsize=1024)
def formula(latex: str, *, block: bool) -> str:
    """The MathML of a formula, or its source in <code> where it cannot be shown. Both are safe HTML."""
    if len(latex) > MAX_CHARS or _REFUSED.search(latex):
        return formula_source(latex)
    try:
        tree = convert_to_element(latex, display="block" if block else "inline")
        content = "".join(_element(child, 1) for child in tree)
    except Exception:  # the parser fails in many ways on what is no formula, recursion included
        return formula_source(latex)
    display = ' display="block"' if block else ""
    return f'<math{display} alttext="{escape(latex)}">{content}</math>'


def formula_source(latex: str) -> str:
    """A formula as it was written."""
    return f'<code class="formula-source">{escape(latex, quote=False)}</code>'


def _element(element: Element, depth: int) -> str:
    if element.tag not in ELEMENTS or depth > MAX_DEPTH:
        raise _NotShown(element.tag)
    attributes = "".join(
        f' {name}="{escape(value)}"'
        for name, value in element.attrib.items()
        if name in ATTRIBUTES and ATTRIBUTES[name].fullmatch(value)
    )
    text = escape(_characters(element.text or ""), quote=False)
    inside = "".join(_element(child, depth + 1) for child in element)
    return f"<{element.tag}{attributes}>{text}{inside}</{element.tag}>"


def _characters(text: str) -> str:
    """The generator writes its own symbols as references (&#x2211;); they become characters, which are escaped."""
    return _REFERENCE.sub(lambda found: _character(int(found[1], 16)), text)


def _character(code: int) -> str:
    shown = 0x20 <= code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF and not 0x7F <= code <= 0x9F
    return chr(code) if shown else "\ufffd"

"""The lists of what HTML may hold after rendering. nh3 parses the HTML as a browser does and drops all else."""

from __future__ import annotations

import nh3
from pygments.token import STANDARD_TYPES

SCHEMES = frozenset({"http", "https", "mailto"})
TAGS = frozenset(
    {
        *("a", "br", "code", "del", "em", "s", "span", "strong"),
        *("blockquote", "figcaption", "figure", "hr", "li", "ol", "p", "pre", "ul"),
        *("h1", "h2", "h3", "h4", "h5", "h6"),
        *("table", "tbody", "td", "th", "thead", "tr"),
    }
)
ATTRIBUTES: dict[str, set[str]] = {
    "*": set(),  # without it nh3 allows lang and title everywhere
    "a": {"href"},  # no titles: attributes of free text are where parsers have been led astray
    "figure": {"data-language"},
    "ol": {"start"},
    "span": {"data-formula"},
}
ALIGNMENTS = frozenset({"left", "center", "right"})
PYGMENTS_CLASSES = frozenset(name for name in STANDARD_TYPES.values() if name)
CLASSES = {
    "a": {"image"},
    "code": {"formula-source"},
    "figure": {"code"},
    "p": {"plain"},
    "span": set(PYGMENTS_CLASSES),
    "td": set(ALIGNMENTS),
    "th": set(ALIGNMENTS),
}
LINK_REL = "noopener noreferrer nofollow"

_CLEANER = nh3.Cleaner(
    tags=set(TAGS),
    clean_content_tags=set(),
    attributes=ATTRIBUTES,
    allowed_classes=CLASSES,
    url_schemes=set(SCHEMES),
    url_relative="deny",
    link_rel=LINK_REL,
    strip_comments=True,
)


def clean(html: str) -> str:
    """HTML with allowed elements, attributes, classes and addresses only."""
    return _CLEANER.clean(html)

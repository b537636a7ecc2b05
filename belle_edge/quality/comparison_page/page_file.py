"""The one HTML file: all languages in it, no script, nothing from elsewhere."""

from __future__ import annotations

import os
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from ...languages import LANGUAGES
from ...languages.choice import NAMES
from ...output_files import whole_file
from ..comparison.result import Comparison
from .comparison_article import article, title
from .markup import Markup, joined, tag
from .page_speech import Speech, lang_tag
from .signs import sign_definitions

_STYLES = Path(__file__).resolve().parent / "styles"
_STYLE_PARTS = (
    "base",
    "frame",
    "verdicts",
    "tables",
    "charts",
    "answers",
    "narrow_and_print",
)  # in this order
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><rect x="3" y="3" width="58" height="58" rx="13" '
    'fill="#b02a1f"/><g fill="none" stroke="#fff8ec" stroke-width="5.5" stroke-linecap="round" stroke-linejoin="round">'
    '<path d="M20 39V14h24v25"/><path d="M32 22v13c0 8-5 13-14 16"/><path d="M35 43l11 8"/></g></svg>'
)


def write_page(
    comparison: Comparison, path: str | os.PathLike[str], language: str, *, replace: bool = False
) -> None:
    """Write a comparison as one HTML file, which is opened without a network or a server.

    language: the one shown first, of LANGUAGES; ValueError for another. The page has a switch for the others.
    replace: a file of this name gives way. Raises OSError where it cannot be written (`output_files.whole_file`).
    """
    content = page(comparison, language).encode()
    with whole_file(Path(path), replace=replace) as file:
        file.write(content)


def page(comparison: Comparison, language: str) -> str:
    """The file's text."""
    first = Speech.of(language)
    articles = (article(Speech.of(name), comparison, is_first=name == language) for name in LANGUAGES)
    body = tag("body", sign_definitions(), _header(language), tag("main", *articles))
    return f"<!doctype html>\n{tag('html', _head(first, comparison), body, lang=first.tag)}\n"


def _head(first: Speech, comparison: Comparison) -> Markup:
    style = "".join((_STYLES / f"{part}.css").read_text(encoding="utf-8") for part in _STYLE_PARTS)
    digest = b64encode(sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title(first, comparison)),
        tag("link", rel="icon", href=f"data:image/svg+xml,{quote(_ICON)}"),
        tag("style", Markup(style)),
    )


def _header(language: str) -> Markup:
    """The name, and the switch of languages: three radio buttons that the style reads; no script is needed."""
    choices = (
        tag(
            "label",
            tag("input", type="radio", name="language", id=f"say-{name}", checked=name == language),
            tag("span", NAMES[name], lang=lang_tag(name)),
        )
        for name in LANGUAGES
    )
    legend = tag("legend", "语言 · Language · Idioma", class_="visually-hidden")
    brand = tag(
        "span", Markup(_ICON.replace("<svg ", '<svg aria-hidden="true" ', 1)), "BELLE Edge", class_="brand"
    )
    return tag("header", brand, tag("fieldset", legend, joined(*choices)))

"""The texts of the page: t("…") in its scripts, data-t attributes in its HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from io import BytesIO

from babel.messages.extract import extract

from .found import Found


def page_messages(files: Mapping[str, str]) -> Iterator[Found]:
    """Of many files: path relative to the repository -> source, by their suffix."""
    for path, source in files.items():
        if path.endswith(".js"):
            yield from _of_script(path, source)
        elif path.endswith(".html"):
            yield from _of_html(path, source)


def _of_script(path: str, source: str) -> Iterator[Found]:
    found = extract(
        "javascript", BytesIO(source.encode()), keywords={"t": None}, options={"encoding": "utf-8"}
    )
    for line, text, *_ in found:
        if isinstance(text, str) and text:
            yield Found(text, path, line, marked=True)


class _Marked(HTMLParser):
    """data-t="…" has the text; an empty data-t stands for the element's own; data-t-NAME for an attribute's."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[tuple[str, int]] = []
        self._waiting: int | None = None  # line of an element whose text comes

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        for name, value in attrs:
            if name == "data-t" and not value:
                self._waiting = self.getpos()[0]
            elif name == "data-t" or name.startswith("data-t-"):
                text = value or values.get(name.removeprefix("data-t-")) or ""
                self.texts.append((text, self.getpos()[0]))

    def handle_data(self, data: str) -> None:
        if self._waiting is not None and data.strip():
            self.texts.append((re.sub(r"\s+", " ", data.strip()), self._waiting))
            self._waiting = None


def _of_html(path: str, source: str) -> Iterator[Found]:
    parser = _Marked()
    parser.feed(source)
    return (Found(text, path, line, marked=True) for text, line in parser.texts if text)

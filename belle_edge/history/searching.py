"""Full-text search: every word of a query must be in the title, or in the message. Newest hits first.

The index knows three characters in a row, so Chinese needs no spaces. Shorter words are looked for in the texts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table, and_, column, select, table, text

from .records import Hit
from .tables import chats, messages

_SHORTEST_INDEXED = 3  # characters: what the trigram tokenizer knows
_BEFORE_CHARS, _EXCERPT_CHARS = 40, 160
_MAX_WORDS, _MAX_CHARS = 16, 400  # of a query
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def words_of(query: str) -> list[str]:
    """What is looked for: parts of the query between spaces, each once. A bound keeps the search short."""
    cleaned = _CONTROL.sub(" ", query[:_MAX_CHARS]).encode("utf-8", "replace").decode()
    return list(dict.fromkeys(cleaned.split()))[:_MAX_WORDS]


def search(connection: Connection, query: str, limit: int) -> list[Hit]:
    """At most `limit` hits in chats that are not deleted: titles, then messages."""
    words = words_of(query)
    if not words or limit < 1:
        return []
    titles = select(chats.c.id, chats.c.title).where(_has(chats, "title", words), chats.c.deleted.is_(None))
    titles = titles.order_by(chats.c.updated.desc(), chats.c.number.desc()).limit(limit)
    hits = [Hit(id, title, None, excerpt_around(title, words)) for id, title in connection.execute(titles)]
    if len(hits) == limit:
        return hits
    texts = select(messages.c.chat, chats.c.title, messages.c.id, messages.c.text)
    texts = texts.join(chats, chats.c.id == messages.c.chat)
    texts = texts.where(
        _has(messages, "text", words), messages.c.state != "writing", chats.c.deleted.is_(None)
    )
    for chat, title, id, content in connection.execute(
        texts.order_by(messages.c.number.desc()).limit(limit - len(hits))
    ):
        hits.append(Hit(chat, title, id, excerpt_around(content, words)))
    return hits


def excerpt_around(content: str, words: Sequence[str]) -> list[tuple[str, bool]]:
    """A piece of a text around the first of the words, cut into (text, is it a hit?)."""
    pattern = re.compile(
        "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)), re.IGNORECASE
    )
    first = pattern.search(content)
    begin = max(0, first.start() - _BEFORE_CHARS) if first else 0
    end = min(len(content), begin + _EXCERPT_CHARS)
    if begin:
        begin = _after_space(content, begin, first.start() if first else begin)
    piece = content[begin:end]
    parts = [("…", False)] if begin else []
    at = 0
    for found in pattern.finditer(piece):
        parts += [(piece[at : found.start()], False), (found[0], True)]
        at = found.end()
    parts += [(piece[at:], False)] + ([("…", False)] if end < len(content) else [])
    return [part for part in parts if part[0]]


def _after_space(content: str, begin: int, end: int) -> int:
    """The begin of the next whole word, where there is one before `end`."""
    space = content.find(" ", begin, end)
    return space + 1 if space >= 0 else begin


def _has(rows: Table, name: str, words: Sequence[str]) -> Any:
    """The condition that column `name` has all words, whatever their case."""
    indexed = [word for word in words if len(word) >= _SHORTEST_INDEXED]
    conditions = [
        rows.c[name].like(f"%{_escaped(word)}%", escape="\\") for word in words if word not in indexed
    ]
    if indexed:
        index = table(f"{rows.name}_index", column("rowid"))
        phrases = " ".join('"{}"'.format(word.replace('"', '""')) for word in indexed)
        match = text(f"{rows.name}_index MATCH :phrases").bindparams(phrases=phrases)
        conditions.append(rows.c.number.in_(select(index.c.rowid).where(match)))
    return and_(*conditions)


def _escaped(word: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", word)

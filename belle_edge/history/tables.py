"""The tables as this program knows them. Migrations make them; a test compares the two."""

from __future__ import annotations

import sys
from array import array
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.types import TypeDecorator

from .records import ROLES, STATES

SCHEMA = "0002"  # the newest revision in migrations/versions
KNOWN = ("0001", "0002")
APPLICATION_ID = 0x42_45_4C_48  # in the header of the file: "BELH"


class TokenIds(TypeDecorator[tuple[int, ...]]):
    """Token ids as bytes: 32 bits each, little endian."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: tuple[int, ...] | None, dialect: Any) -> bytes:
        ids = array("i", value or ())
        if sys.byteorder == "big":
            ids.byteswap()
        return ids.tobytes()

    def process_result_value(self, value: Any, dialect: Any) -> tuple[int, ...]:
        ids = array("i", value or b"")
        if sys.byteorder == "big":
            ids.byteswap()
        return tuple(ids)


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    return CheckConstraint(
        f"{column} IN ({', '.join(repr(value) for value in values)})", name=f"known_{column}"
    )


metadata = MetaData()
_json = JSON(none_as_null=True)

chats = Table(
    "chats",
    metadata,
    Column("number", Integer, primary_key=True),  # order of creation; the row of the search index
    Column("id", Text, nullable=False, unique=True),
    Column("title", Text, nullable=False),
    Column("pinned", Boolean, nullable=False),
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
    Column("model", Text),
    Column("system", Text, nullable=False),
    Column("settings", _json, nullable=False),
    Column("leaf", Text, ForeignKey("messages.id", ondelete="SET NULL", use_alter=True)),
    Column("draft", Text, nullable=False),
    Column("deleted", Float),
    Index("chats_in_order", "pinned", "updated", "number"),
)
messages = Table(
    "messages",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("chat", Text, ForeignKey("chats.id", ondelete="CASCADE"), nullable=False),
    Column("parent", Text, ForeignKey("messages.id", ondelete="CASCADE")),
    Column("role", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created", Float, nullable=False),
    Column("token_ids", TokenIds, nullable=False),
    Column("answer_begin", Integer),
    Column("decoded_end", Integer),
    Column("model", Text),
    Column("settings", _json, nullable=False),
    Column("timings", _json, nullable=False),
    Column("layout", _json, nullable=False),
    Column("error", _json),
    Column("dropped", _json, nullable=False),
    Column("writer", Text),  # whose process writes it (writer_marks.py); only while it is being written
    _one_of("role", ROLES),
    _one_of("state", STATES),
    Index("messages_of_chat", "chat", "parent"),
    Index("messages_below", "parent"),
    Index("messages_being_written", "writer"),
)
attachments = Table(
    "attachments",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("tokens", Integer),
    Column("created", Float, nullable=False),
    Column("text", Text, nullable=False),
)
attached = Table(
    "attached",
    metadata,
    Column("message", Text, ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("attachment", Text, ForeignKey("attachments.id"), nullable=False),
    Index("attached_to", "attachment"),
)
settings = Table(
    "settings",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", _json),
)

"""Chats as rows: queries and changes inside a transaction that the caller has begun."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, insert, select, tuple_, update

from .history_errors import missing
from .records import Chat
from .tables import attached, attachments, chats, messages

_COLUMNS = [column for column in chats.columns if column.name != "number"]
CHANGEABLE = frozenset({"title", "pinned", "leaf", "model", "system", "settings", "draft"})


def changeable(chat: Chat) -> dict[str, Any]:
    """The values that a caller chose."""
    return {name: getattr(chat, name) for name in CHANGEABLE}


def insert_chat(connection: Connection, chat: Chat) -> None:
    connection.execute(insert(chats).values({column.name: getattr(chat, column.name) for column in _COLUMNS}))


def get_chat(connection: Connection, id: str) -> Chat:
    """Deleted ones too. Raises HistoryMissingError."""
    row = connection.execute(select(*_COLUMNS).where(chats.c.id == id)).first()
    if row is None:
        raise missing("chat", id)
    return _chat(row)


def list_chats(connection: Connection, limit: int | None, before: str | None) -> list[Chat]:
    """Pinned ones first, then by their last message; those after the chat `before` in this order."""
    order = (chats.c.pinned, chats.c.updated, chats.c.number)
    query = select(*_COLUMNS).where(chats.c.deleted.is_(None))
    if before is not None:
        place = connection.execute(select(*order).where(chats.c.id == before)).first()
        if place is None:
            raise missing("chat", before)
        query = query.where(tuple_(*order) < tuple_(*place))
    query = query.order_by(*(column.desc() for column in order)).limit(limit)
    return [_chat(row) for row in connection.execute(query)]


def change_chat(connection: Connection, id: str, changes: Mapping[str, Any]) -> None:
    """Set columns of CHANGEABLE, which were checked. Raises HistoryMissingError, for a leaf of another chat as well."""
    leaf = changes.get("leaf")
    if leaf is not None and not connection.scalar(
        select(exists().where(messages.c.id == leaf, messages.c.chat == id))
    ):
        raise missing("message of this chat", leaf)
    if changes and connection.execute(update(chats).where(chats.c.id == id).values(changes)).rowcount == 0:
        raise missing("chat", id)


def touch_chat(connection: Connection, id: str, now: float, **changes: Any) -> None:
    """A chat that has a new message moves to the top of the list."""
    connection.execute(update(chats).where(chats.c.id == id).values(updated=now, **changes))


def mark_deleted(connection: Connection, id: str, when: float | None) -> None:
    if connection.execute(update(chats).where(chats.c.id == id).values(deleted=when)).rowcount == 0:
        raise missing("chat", id)


def purge(connection: Connection, before: float) -> list[str]:
    """Remove chats deleted before a time, and attachments older than it that no message has. The chats' ids."""
    gone = list(connection.execute(select(chats.c.id).where(chats.c.deleted < before)).scalars())
    connection.execute(delete(chats).where(chats.c.deleted < before))
    unused = ~exists().where(attached.c.attachment == attachments.c.id)
    connection.execute(delete(attachments).where(attachments.c.created < before, unused))
    return gone


def all_ids(connection: Connection) -> list[str]:
    """Chats that are not deleted, oldest first."""
    return list(
        connection.execute(
            select(chats.c.id).where(chats.c.deleted.is_(None)).order_by(chats.c.number)
        ).scalars()
    )


def _chat(row: Row[Any]) -> Chat:
    return Chat(*tuple(row))

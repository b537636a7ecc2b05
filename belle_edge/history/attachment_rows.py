"""Attachments as rows: inside a transaction that the caller has begun."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, insert, select

from .history_errors import missing
from .records import Attachment
from .tables import attached, attachments

_COLUMNS = [column for column in attachments.columns if column.name != "text"]


def insert_attachment(connection: Connection, file: Attachment, text: str) -> None:
    values = {column.name: getattr(file, column.name) for column in _COLUMNS}
    connection.execute(insert(attachments).values(text=text, **values))


def get_attachment(connection: Connection, id: str) -> tuple[Attachment, str]:
    """It and its text. Raises HistoryMissingError."""
    row = connection.execute(select(*_COLUMNS, attachments.c.text).where(attachments.c.id == id)).first()
    if row is None:
        raise missing("attachment", id)
    return Attachment(*row[:-1]), row.text


def attach_to(connection: Connection, message: str, ids: Sequence[str]) -> None:
    """Give attachments to a message, in this order. Raises HistoryMissingError."""
    known = set(connection.execute(select(attachments.c.id).where(attachments.c.id.in_(ids))).scalars())
    for place, id in enumerate(ids):
        if id not in known:
            raise missing("attachment", id)
        connection.execute(insert(attached).values(message=message, place=place, attachment=id))


def attachments_of(connection: Connection, ids: Sequence[str]) -> Iterator[tuple[str, Attachment]]:
    """(message, attachment) of these messages, in the order of each message's attachments."""
    query = (
        select(attached.c.message, *_COLUMNS)
        .join(attachments, attachments.c.id == attached.c.attachment)
        .where(attached.c.message.in_(ids))
        .order_by(attached.c.message, attached.c.place)
    )
    for row in connection.execute(query):
        yield row.message, Attachment(*row[1:])

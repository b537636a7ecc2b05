"""Messages as rows, and the walks through their tree: inside a transaction that the caller has begun."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, exists, func, insert, literal, select, update

from .attachment_rows import attachments_of
from .history_errors import missing
from .records import Message
from .tables import attached, messages

_OTHERS = {"number", "writer"}
_COLUMNS = [column for column in messages.columns if column.name not in _OTHERS]
_HAS_FILES = exists().where(attached.c.message == messages.c.id).label("has_files")
CHANGEABLE = frozenset(
    {
        *("text", "state", "token_ids", "answer_begin", "decoded_end"),
        *("model", "settings", "timings", "layout", "error", "dropped"),
    }
)
_AT_ONCE = 500  # ids in one query


def changeable(message: Message) -> dict[str, Any]:
    """The values that a caller chose."""
    return {name: getattr(message, name) for name in (*CHANGEABLE, "role")}


def insert_messages(connection: Connection, rows: Sequence[Message], writer: str | None = None) -> None:
    """Rows without their attachments, parents first."""
    if rows:
        values = [{column.name: getattr(row, column.name) for column in _COLUMNS} for row in rows]
        connection.execute(insert(messages), [{**row, "writer": writer} for row in values])


def get_message(connection: Connection, id: str) -> Message:
    """Raises HistoryMissingError."""
    found = _with_files(connection, connection.execute(_query().where(messages.c.id == id)).all())
    if not found:
        raise missing("message", id)
    return found[0]


def messages_of(connection: Connection, chat: str) -> list[Message]:
    """The whole tree in the order in which it grew: parents first."""
    rows = connection.execute(_query().where(messages.c.chat == chat).order_by(messages.c.number)).all()
    return _with_files(connection, rows)


def path_to(connection: Connection, leaf: str, limit: int | None) -> list[Message]:
    """The last `limit` messages of the way from the root to `leaf`, in this order. One recursive query."""
    first = select(messages.c.number, messages.c.parent, literal(0).label("height")).where(
        messages.c.id == leaf
    )
    way = first.cte("way", recursive=True)
    step = select(messages.c.number, messages.c.parent, way.c.height + 1).where(messages.c.id == way.c.parent)
    way = way.union_all(step if limit is None else step.where(way.c.height < limit - 1))
    rows = connection.execute(
        _query().add_columns(way.c.height).join(way, way.c.number == messages.c.number)
    ).all()
    return _with_files(
        connection, sorted(rows, key=lambda row: row.height, reverse=True)
    )  # SQLite would copy all


def ids_to(connection: Connection, leaf: str) -> list[str]:
    """Ids of the way from the root to `leaf`."""
    way = select(messages.c.id, messages.c.parent, literal(0).label("height")).where(messages.c.id == leaf)
    up = way.cte("way", recursive=True)
    up = up.union_all(
        select(messages.c.id, messages.c.parent, up.c.height + 1).where(messages.c.id == up.c.parent)
    )
    return list(connection.execute(select(up.c.id).order_by(up.c.height.desc())).scalars())


def messages_by_id(connection: Connection, ids: Sequence[str]) -> list[Message]:
    """In the order of `ids`. Raises HistoryMissingError."""
    found: dict[str, Message] = {}
    for some in _pieces(ids):
        rows = connection.execute(_query().where(messages.c.id.in_(some))).all()
        found |= {message.id: message for message in _with_files(connection, rows)}
    if lost := [id for id in ids if id not in found]:
        raise missing("message", lost[0])
    return [found[id] for id in ids]


def leaf_below(connection: Connection, id: str) -> str:
    """The newest message without answers in the tree below `id`, itself included."""
    below = select(messages.c.id, messages.c.number).where(messages.c.id == id).cte("below", recursive=True)
    below = below.union_all(select(messages.c.id, messages.c.number).where(messages.c.parent == below.c.id))
    child = messages.alias()
    newest = (
        select(below.c.id)
        .where(~exists().where(child.c.parent == below.c.id))
        .order_by(below.c.number.desc())
        .limit(1)
    )
    found = connection.scalar(newest)
    if found is None:
        raise missing("message", id)
    return str(found)


def children_of(connection: Connection, chat: str, parent: str | None) -> list[str]:
    """Ids of the answers to `parent` (None: the beginnings of the chat), oldest first."""
    query = select(messages.c.id).where(messages.c.chat == chat, messages.c.parent.is_(parent))
    return list(connection.execute(query.order_by(messages.c.number)).scalars())


def siblings_of(connection: Connection, ids: Sequence[str]) -> dict[str, list[str]]:
    """For each message the ids of all with the same parent, itself included, oldest first."""
    found: dict[str, list[str]] = {}
    sibling = messages.alias()
    same = (sibling.c.chat == messages.c.chat) & sibling.c.parent.is_not_distinct_from(messages.c.parent)
    for some in _pieces(ids):
        query = select(messages.c.id, sibling.c.id).join(sibling, same).where(messages.c.id.in_(some))
        for id, other in connection.execute(query.order_by(sibling.c.number)):
            found.setdefault(id, []).append(other)
    return found


def change_message(connection: Connection, id: str, **changes: Any) -> None:
    """Raises HistoryMissingError."""
    if connection.execute(update(messages).where(messages.c.id == id).values(changes)).rowcount == 0:
        raise missing("message", id)


def writers(connection: Connection) -> list[str | None]:
    """The marks of those that are writing answers."""
    query = select(messages.c.writer).where(messages.c.state == "writing").distinct()
    return list(connection.execute(query).scalars())


def cut_answers(connection: Connection, dead: Collection[str | None]) -> list[str]:
    """Answers of dead writers are cut off where they stand. Returns their ids."""
    writing = (messages.c.state == "writing") & func.coalesce(messages.c.writer, "").in_(
        [mark or "" for mark in dead]
    )
    ids = list(connection.execute(select(messages.c.id).where(writing).order_by(messages.c.number)).scalars())
    connection.execute(update(messages).where(writing).values(state="cut", writer=None))
    return ids


def known_messages(connection: Connection, ids: Iterable[str]) -> dict[str, str]:
    """Of these ids those that exist, with the chats they belong to."""
    found: dict[str, str] = {}
    for some in _pieces(ids):
        for id, chat in connection.execute(
            select(messages.c.id, messages.c.chat).where(messages.c.id.in_(some))
        ):
            found[id] = chat
    return found


def _query() -> Any:
    return select(*_COLUMNS, _HAS_FILES)


def _with_files(connection: Connection, rows: Sequence[Row[Any]]) -> list[Message]:
    found = [Message(*row[: len(_COLUMNS)]) for row in rows]
    with_files = [message.id for message, row in zip(found, rows, strict=True) if row.has_files]
    if not with_files:
        return found
    files = defaultdict(list)
    for some in _pieces(with_files):
        for id, file in attachments_of(connection, some):
            files[id].append(file)
    return [
        replace(message, attachments=files[message.id]) if message.id in files else message
        for message in found
    ]


def _pieces(ids: Iterable[str]) -> Iterator[list[str]]:
    waiting = iter(ids)
    while some := list(islice(waiting, _AT_ONCE)):
        yield some

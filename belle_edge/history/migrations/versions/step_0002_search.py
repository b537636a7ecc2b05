"""Full-text search over titles and messages: by three characters each, so that Chinese needs no spaces.

The indexes hold no text of their own; triggers keep them in step. An answer is indexed when it is no longer being
written: its text changes twice a second until then.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_INDEX = (
    "CREATE VIRTUAL TABLE {table}_index USING fts5({column}, content='{table}', content_rowid='number', "
    "tokenize='trigram')"
)
_ADD = "INSERT INTO {table}_index (rowid, {column}) VALUES (new.number, new.{column});"
_REMOVE = (
    "INSERT INTO {table}_index ({table}_index, rowid, {column}) VALUES ('delete', old.number, old.{column});"
)
_TRIGGER = "CREATE TRIGGER {table}_index_{name} {event} ON {table} {when} BEGIN {action} END"


def upgrade() -> None:
    for table, column, watched, condition in (
        ("chats", "title", "title", "1"),
        ("messages", "text", "text, state", "{row}.state <> 'writing'"),
    ):
        names = {"table": table, "column": column}
        op.execute(_INDEX.format(**names))
        for name, event, rows, action in (
            ("added", "AFTER INSERT", "new", _ADD),
            ("removed", "AFTER DELETE", "old", _REMOVE),
            ("out", f"BEFORE UPDATE OF {watched}", "old", _REMOVE),
            ("in", f"AFTER UPDATE OF {watched}", "new", _ADD),
        ):
            when = f"WHEN {condition.format(row=rows)}"
            op.execute(
                _TRIGGER.format(name=name, event=event, when=when, action=action.format(**names), **names)
            )
        existing = "" if condition == "1" else f"WHERE {condition.format(row=table)}"
        op.execute(
            f"INSERT INTO {table}_index (rowid, {column}) SELECT number, {column} FROM {table} {existing}"
        )

"""Chats, their trees of messages, attachments and settings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "chats",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("pinned", sa.Boolean, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("updated", sa.Float, nullable=False),
        sa.Column("model", sa.Text),
        sa.Column("system", sa.Text, nullable=False),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("leaf", sa.Text, sa.ForeignKey("messages.id", ondelete="SET NULL")),
        sa.Column("draft", sa.Text, nullable=False),
        sa.Column("deleted", sa.Float),
    )
    op.create_index("chats_in_order", "chats", ["pinned", "updated", "number"])
    _messages()
    op.create_table(
        "attachments",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("bytes", sa.Integer, nullable=False),
        sa.Column("tokens", sa.Integer),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )
    op.create_table(
        "attached",
        sa.Column("message", sa.Text, sa.ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("place", sa.Integer, primary_key=True),
        sa.Column("attachment", sa.Text, sa.ForeignKey("attachments.id"), nullable=False),
    )
    op.create_index("attached_to", "attached", ["attachment"])
    op.create_table("settings", sa.Column("name", sa.Text, primary_key=True), sa.Column("value", sa.JSON))


def _messages() -> None:
    op.create_table(
        "messages",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("chat", sa.Text, sa.ForeignKey("chats.id", ondelete="CASCADE"), nullable=False),
        sa.Column("parent", sa.Text, sa.ForeignKey("messages.id", ondelete="CASCADE")),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("token_ids", sa.LargeBinary, nullable=False),
        sa.Column("answer_begin", sa.Integer),
        sa.Column("decoded_end", sa.Integer),
        sa.Column("model", sa.Text),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("timings", sa.JSON, nullable=False),
        sa.Column("layout", sa.JSON, nullable=False),
        sa.Column("error", sa.JSON),
        sa.Column("dropped", sa.JSON, nullable=False),
        sa.Column("writer", sa.Text),
        sa.CheckConstraint("role IN ('user', 'assistant')", name="known_role"),
        sa.CheckConstraint(
            "state IN ('finished', 'writing', 'stopped', 'length', 'cut', 'failed')", name="known_state"
        ),
    )
    op.create_index("messages_of_chat", "messages", ["chat", "parent"])
    op.create_index("messages_below", "messages", ["parent"])
    op.create_index("messages_being_written", "messages", ["writer"])

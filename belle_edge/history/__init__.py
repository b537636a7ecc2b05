"""Chats on disk: SQLite, with migrations and backups, full-text search, export and import.

Knows no server and no model. Needs the extra `server`; nobody imports it before it is used.
"""

from __future__ import annotations

from .history_errors import HistoryError, HistoryFileError, HistoryImportError, HistoryMissingError
from .records import Attachment, Chat, Hit, Message, Role, State
from .store import History

__all__ = [
    "Attachment",
    "Chat",
    "History",
    "HistoryError",
    "HistoryFileError",
    "HistoryImportError",
    "HistoryMissingError",
    "Hit",
    "Message",
    "Role",
    "State",
]

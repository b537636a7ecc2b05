"""Imported chats as rows: inside a transaction that the caller has begun, so that it is all or nothing."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from . import attachment_rows, chat_rows, message_rows
from .exchanged import NewChat, Package
from .history_errors import HistoryImportError, HistoryMissingError
from .records import Attachment, Chat


def write_package(connection: Connection, package: Package) -> list[str]:
    """Add what is not here yet. Returns the ids of all its chats, in its order.

    A chat that is here gets the messages that it lacks, and is restored if it was deleted; the rest of it stays.
    Raises HistoryImportError for an id that is here with another content.
    """
    for file, text in package.attachments:
        _write_attachment(connection, file, text)
    ids = [message.id for chat in package.chats for message in chat.messages]
    here = message_rows.known_messages(connection, ids)
    for chat in package.chats:
        _write_chat(connection, chat, here)
    return [chat.chat.id for chat in package.chats]


def _write_chat(connection: Connection, new: NewChat, here: dict[str, str]) -> None:
    old = _find(connection, new.chat.id)
    if old is None:
        chat_rows.insert_chat(connection, replace(new.chat, leaf=None))
    elif old.deleted is not None:
        chat_rows.mark_deleted(connection, old.id, None)
    for message in new.messages:
        if here.get(message.id, message.chat) != message.chat:
            raise HistoryImportError(f"[import] the message {message.id} is here already, in another chat")
    rows = [message for message in new.messages if message.id not in here]
    message_rows.insert_messages(connection, rows)
    for message in rows:
        if message.id in new.files:
            attachment_rows.attach_to(connection, message.id, new.files[message.id])
    if (old is None or old.leaf is None) and new.chat.leaf is not None:
        chat_rows.change_chat(connection, new.chat.id, {"leaf": new.chat.leaf})


def _write_attachment(connection: Connection, file: Attachment, text: str) -> None:
    try:
        old, old_text = attachment_rows.get_attachment(connection, file.id)
    except HistoryMissingError:
        attachment_rows.insert_attachment(connection, file, text)
        return
    if (old.name, old_text) != (file.name, text):
        raise HistoryImportError(f"[import] the attachment {file.id} is here already, with another content")


def _find(connection: Connection, id: str) -> Chat | None:
    try:
        return chat_rows.get_chat(connection, id)
    except HistoryMissingError:
        return None

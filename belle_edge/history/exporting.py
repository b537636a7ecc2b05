"""Chats as texts of files, read inside one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import Connection

from . import attachment_rows, chat_rows, message_rows
from .markdown_format import write_markdown
from .own_format import write_chats
from .records import Attachment, Chat, Message


def export_json(connection: Connection, ids: Sequence[str]) -> str:
    """Chats with their whole trees and attachments."""
    found = [(chat_rows.get_chat(connection, id), message_rows.messages_of(connection, id)) for id in ids]
    return write_chats(found, _attachments(connection, [message for _, tree in found for message in tree]))


def export_markdown(connection: Connection, chat: Chat, names: Mapping[str, str]) -> str:
    """The path that a chat shows."""
    path = message_rows.path_to(connection, chat.leaf, None) if chat.leaf else []
    return write_markdown(chat, [(message, _files(connection, message)) for message in path], names)


def _files(connection: Connection, message: Message) -> list[tuple[str, str]]:
    return [
        (file.name, attachment_rows.get_attachment(connection, file.id)[1]) for file in message.attachments
    ]


def _attachments(connection: Connection, messages: Sequence[Message]) -> Iterator[tuple[Attachment, str]]:
    """Each attachment once, in the order of the messages."""
    for id in dict.fromkeys(file.id for message in messages for file in message.attachments):
        yield attachment_rows.get_attachment(connection, id)

"""This program's file of chats: JSON with the whole tree of each chat, and everything that is known of it.

What is taken in again is what a person can read. Token ids and layout stay behind: a stranger's file could hold others
than its text shows, and the model would see what the person does not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from .exchanged import MAX_CHATS, MAX_MESSAGES, NewChat, Package, parents_first
from .found_values import Found
from .history_errors import HistoryImportError
from .records import ROLES, STATES, Attachment, Chat, Message

FORMAT = "belle-edge-chats"
VERSION = 1
_MAX_FILES = 1_000  # of one message
_CHAT_FIELDS = ("id", "title", "pinned", "created", "updated", "model", "system", "settings", "leaf", "draft")
_MESSAGE_FIELDS = (
    *(
        "id",
        "parent",
        "role",
        "text",
        "state",
        "created",
        "token_ids",
        "answer_begin",
        "decoded_end",
        "model",
    ),
    *("settings", "timings", "layout", "error", "dropped"),
)


def write_chats(
    chats: Iterable[tuple[Chat, Iterable[Message]]], attachments: Iterable[tuple[Attachment, str]]
) -> str:
    """The JSON of chats with all their messages, and of the attachments that these have."""
    content = {
        "format": FORMAT,
        "version": VERSION,
        "chats": [_chat_object(chat, messages) for chat, messages in chats],
        "attachments": [
            {"id": file.id, "name": file.name, "tokens": file.tokens, "created": file.created, "text": text}
            for file, text in attachments
        ],
    }
    return json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1)


def read_chats(root: Found) -> Package:
    """The chats of a file. Raises HistoryImportError."""
    version = root.field("version")
    if version.value != VERSION:
        raise version.error(f"version {VERSION}, which this BELLE Edge reads (a newer one may read more)")
    files = root.field("attachments")
    attachments = [_attachment(found) for found in files.items(MAX_MESSAGES)] if files.present else []
    known = {file.id for file, _ in attachments}
    chats, n_messages = [], 0
    for found in root.field("chats").items(MAX_CHATS):
        chats.append(_chat(found, known))
        n_messages += len(chats[-1].messages)
        root.bound(n_messages, MAX_MESSAGES)
    _no_id_twice(root, [chat.chat.id for chat in chats])
    _no_id_twice(root, [message.id for chat in chats for message in chat.messages])
    _no_id_twice(root, [file.id for file, _ in attachments])
    return Package(chats, attachments)


def _chat_object(chat: Chat, messages: Iterable[Message]) -> dict[str, Any]:
    return {
        **{name: getattr(chat, name) for name in _CHAT_FIELDS},
        "messages": [
            {
                **{name: getattr(message, name) for name in _MESSAGE_FIELDS},
                "attachments": [file.id for file in message.attachments],
            }
            for message in messages
        ],
    }


def _attachment(found: Found) -> tuple[Attachment, str]:
    text = found.field("text").text()
    file = Attachment(
        id=found.field("id").id(),
        name=found.field("name").text(),
        bytes=len(text.encode("utf-8")),
        tokens=found.field("tokens").count_or_none(),
        created=found.field("created").time(),
    )
    return file, text


def _chat(found: Found, attachments: set[str]) -> NewChat:
    id = found.field("id").id()
    rows: dict[str, tuple[Found, Message]] = {}
    files: dict[str, list[str]] = {}
    for place in found.field("messages").items(MAX_MESSAGES):
        message = _message(place, id)
        if message.id in rows:
            raise place.field("id").error("an id of its own")
        rows[message.id] = place, message
        if ids := [_known(file, attachments) for file in place.field("attachments").items(_MAX_FILES)]:
            files[message.id] = ids
    order = parents_first(
        {id: message.parent for id, (_, message) in rows.items()},
        lambda node, fault: HistoryImportError(
            f"[import] {rows[node][0].where}.parent: expected a message above it, but {fault}"
        ),
    )
    leaf = found.field("leaf")
    if leaf.present and leaf.id() not in rows:
        raise leaf.error("a message of this chat")
    chat = Chat(
        id=id,
        title=found.field("title").text(""),
        pinned=found.field("pinned").flag(),
        created=found.field("created").time(),
        updated=found.field("updated").time(),
        model=found.field("model").text_or_none(),
        system=found.field("system").text(""),
        settings=found.field("settings").plain_object(),
        leaf=leaf.id_or_none(),
        draft=found.field("draft").text(""),
        deleted=None,
    )
    return NewChat(chat, [rows[id][1] for id in order], files)


def _message(found: Found, chat: str) -> Message:
    role, state = found.field("role"), found.field("state")
    if role.value not in ROLES:
        raise role.error("user or assistant")
    if state.value not in STATES:
        raise state.error(f"one of {', '.join(STATES)}")
    dropped, error = found.field("dropped"), found.field("error")
    return Message(
        id=found.field("id").id(),
        chat=chat,
        parent=found.field("parent").id_or_none(),
        role=role.value,
        text=found.field("text").text(),
        state="cut" if state.value == "writing" else state.value,
        created=found.field("created").time(),
        token_ids=(),
        answer_begin=None,
        decoded_end=None,
        model=found.field("model").text_or_none(),
        settings=found.field("settings").plain_object(),
        timings=found.field("timings").plain_object(),
        layout={},
        error=error.plain_object() if error.present else None,
        dropped=[id.id() for id in dropped.items(MAX_MESSAGES)] if dropped.present else [],
    )


def _known(file: Found, attachments: set[str]) -> str:
    if file.id() not in attachments:
        raise file.error("an attachment that the file holds")
    return file.id()


def _no_id_twice(root: Found, ids: list[str]) -> None:
    seen: set[str] = set()
    for id in ids:
        if id in seen:
            raise HistoryImportError(f"[import] {root.where}: expected ids of their own, found {id} twice")
        seen.add(id)

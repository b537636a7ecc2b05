"""`History`: chats, their trees of messages, attachments and settings, kept in one file."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert

from ..errors import excerpt
from . import attachment_rows, chat_rows, message_rows
from .column_checks import check_columns, check_json, check_text
from .database import Database, default_path
from .exporting import export_json, export_markdown
from .history_errors import HistoryError
from .importing import read_file
from .markdown_format import NAMES
from .package_rows import write_package
from .records import Attachment, Chat, Hit, Message, Role, State, new_id
from .searching import search
from .tables import settings as settings_table
from .writer_marks import WriterMark

DELETED_SECONDS = 30 * 24 * 3600  # how long a deleted chat can be restored


class History:
    """The chats of one person. Any thread may call it, and several processes may have the same file open.

    Every call that changes something is one transaction, on the disk when the call returns. Calls raise
    HistoryMissingError for ids that name nothing, HistoryFileError for a file that cannot be used, and ValueError
    for texts that are not valid Unicode.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Open the history, or begin one; an older file is backed up and brought to this program's schema.

        path: the database; None: history.db in the user's folder for data, or in $BELLE_DATA. Raises
        HistoryFileError for a damaged file, a newer one, or one of another program, and OSError.
        """
        self._database = Database(path or default_path())
        try:
            self._mark = WriterMark(self._database.path)
        except BaseException:
            self._database.close()
            raise

    @property
    def file(self) -> Path:
        """Where the database lies."""
        return self._database.path

    @property
    def backups(self) -> list[Path]:
        """Copies of the file that were made before it was brought to a newer schema, newest first."""
        return self._database.backups

    def close(self) -> None:
        """Answers that are still marked as being written are "cut" from now on, for the next who recovers."""
        self._mark.close()
        self._database.close()

    def __enter__(self) -> History:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Chats

    def chats(self, limit: int | None = None, before: str | None = None) -> list[Chat]:
        """Pinned ones first, then those with the newest messages. before: the last chat of the page before."""
        with self._database.reading() as connection:
            return chat_rows.list_chats(connection, limit, before)

    def chat(self, id: str) -> Chat:
        """A chat, also one that is deleted and can still be restored."""
        with self._database.reading() as connection:
            return chat_rows.get_chat(connection, id)

    def new_chat(
        self,
        *,
        title: str = "",
        model: str | None = None,
        system: str = "",
        settings: Mapping[str, Any] | None = None,
        draft: str = "",
    ) -> Chat:
        """An empty chat at the top of the list."""
        now = time.time()
        chat = Chat(new_id(), title, False, now, now, model, system, dict(settings or {}), None, draft, None)
        check_columns(chat_rows.changeable(chat), chat_rows.CHANGEABLE)
        with self._database.changing() as connection:
            chat_rows.insert_chat(connection, chat)
        return chat

    def change_chat(self, id: str, **changes: Any) -> Chat:
        """Change title, pinned, leaf (a message of this chat), model, system, settings or draft."""
        check_columns(changes, chat_rows.CHANGEABLE)
        with self._database.changing() as connection:
            chat_rows.change_chat(connection, id, changes)
            return chat_rows.get_chat(connection, id)

    def delete_chat(self, id: str) -> None:
        """Take a chat out of the list. It can be restored for 30 days; `purge` removes it after that."""
        with self._database.changing() as connection:
            chat_rows.mark_deleted(connection, id, time.time())

    def restore_chat(self, id: str) -> Chat:
        """Undo `delete_chat`."""
        with self._database.changing() as connection:
            chat_rows.mark_deleted(connection, id, None)
            return chat_rows.get_chat(connection, id)

    def purge(self, now: float | None = None) -> list[str]:
        """Remove for good what was deleted more than 30 days ago, and attachments never sent. Returns the chats."""
        with self._database.changing() as connection:
            return chat_rows.purge(connection, (time.time() if now is None else now) - DELETED_SECONDS)

    # Messages

    def message(self, id: str) -> Message:
        """One message."""
        with self._database.reading() as connection:
            return message_rows.get_message(connection, id)

    def messages(self, chat: str) -> list[Message]:
        """The whole tree of a chat, in the order in which it grew."""
        with self._database.reading() as connection:
            return message_rows.messages_of(connection, chat)

    def path(self, leaf: str, limit: int | None = None, before: str | None = None) -> list[Message]:
        """The last `limit` messages of the way from the root to `leaf`, in this order.

        before: end above this message of the way instead. The first one has a parent where there are more.
        """
        with self._database.reading() as connection:
            end: str | None = leaf
            if before is not None:
                end = message_rows.get_message(connection, before).parent
            if end is None or (limit is not None and limit < 1):
                return []
            found = message_rows.path_to(connection, end, limit)
            return found or [message_rows.get_message(connection, end)]

    def path_ids(self, leaf: str) -> list[str]:
        """Ids of all messages from the root to `leaf`: to choose a window of a long chat by."""
        with self._database.reading() as connection:
            found = message_rows.ids_to(connection, leaf)
        return found or [self.message(leaf).id]

    def messages_by_id(self, ids: Sequence[str]) -> list[Message]:
        """Messages in the order of their ids."""
        with self._database.reading() as connection:
            return message_rows.messages_by_id(connection, ids)

    def siblings(self, id: str) -> list[str]:
        """Ids of the messages with the same parent, this one included, oldest first."""
        found = self.siblings_of([id])
        if id not in found:
            self.message(id)
        return found[id]

    def siblings_of(self, ids: Sequence[str]) -> dict[str, list[str]]:
        """`siblings` of many messages at once; ids that name nothing are left out."""
        with self._database.reading() as connection:
            return message_rows.siblings_of(connection, ids)

    def children(self, id: str) -> list[str]:
        """Ids of the messages that answer this one, oldest first."""
        with self._database.reading() as connection:
            chat = message_rows.get_message(connection, id).chat
            return message_rows.children_of(connection, chat, id)

    def roots(self, chat: str) -> list[str]:
        """Ids of the first messages of a chat, oldest first."""
        with self._database.reading() as connection:
            return message_rows.children_of(connection, chat, None)

    def leaf_below(self, id: str) -> str:
        """The newest leaf of the tree below a message; the message itself where nothing follows it."""
        with self._database.reading() as connection:
            return message_rows.leaf_below(connection, id)

    def add_message(
        self,
        chat: str,
        parent: str | None,
        role: Role,
        text: str,
        *,
        state: State = "finished",
        token_ids: Sequence[int] = (),
        answer_begin: int | None = None,
        decoded_end: int | None = None,
        model: str | None = None,
        settings: Mapping[str, Any] | None = None,
        timings: Mapping[str, Any] | None = None,
        layout: Mapping[str, Any] | None = None,
        error: Mapping[str, Any] | None = None,
        dropped: Sequence[str] = (),
        attachments: Sequence[str] = (),
        make_leaf: bool = True,
    ) -> Message:
        """A new message below `parent` (None: a first one). The chat moves up in the list, and shows this path.

        attachments: ids from `attach`. make_leaf: False leaves the chat at its present path.
        """
        now = time.time()
        message = Message(
            id=new_id(),
            chat=chat,
            parent=parent,
            role=role,
            text=text,
            state=state,
            created=now,
            token_ids=tuple(token_ids),
            answer_begin=answer_begin,
            decoded_end=decoded_end,
            model=model,
            settings=dict(settings or {}),
            timings=dict(timings or {}),
            layout=dict(layout or {}),
            error=error,
            dropped=list(dropped),
        )
        check_columns(message_rows.changeable(message), message_rows.CHANGEABLE | {"role"})
        with self._database.changing() as connection:
            chat_rows.get_chat(connection, chat)
            if parent is not None and message_rows.get_message(connection, parent).chat != chat:
                raise HistoryError(f"[history] the message {parent} belongs to another chat than {chat}")
            message_rows.insert_messages(connection, [message], self._writer(state))
            attachment_rows.attach_to(connection, message.id, attachments)
            chat_rows.touch_chat(connection, chat, now, **({"leaf": message.id} if make_leaf else {}))
            return message_rows.get_message(connection, message.id)

    def write_answer(self, id: str, text: str, token_ids: Sequence[int] = (), **more: Any) -> None:
        """What is there of an answer so far; its state is "writing". For every half second, not for every token.

        more: columns of a message to change as well: answer_begin, decoded_end, model, settings, timings, layout,
            dropped.
        """
        self._write(id, "writing", {"text": text, "token_ids": tuple(token_ids), **more})

    def finish_answer(self, id: str, state: State, **more: Any) -> Message:
        """The end of an answer. more: what `write_answer` takes, text and token_ids included, and error."""
        self._write(id, state, more)
        return self.message(id)

    def recover(self) -> list[str]:
        """Answers whose process died while it wrote them become "cut". Call it at start. Returns their ids.

        Answers that another process, or this one, still writes stay as they are.
        """
        with self._database.changing() as connection:
            dead = [
                mark for mark in message_rows.writers(connection) if not (mark and self._mark.alive(mark))
            ]
            cut = message_rows.cut_answers(connection, dead) if dead else []
        self._mark.remove_dead()
        return cut

    # Attachments

    def attach(self, name: str, text: str, *, tokens: int | None = None) -> Attachment:
        """Keep the text of a file, for a message to come. One that is never sent is removed after 30 days."""
        check_columns({"name": name, "text": text, "tokens": tokens}, frozenset({"name", "text", "tokens"}))
        file = Attachment(new_id(), name, len(text.encode("utf-8")), tokens, time.time())
        with self._database.changing() as connection:
            attachment_rows.insert_attachment(connection, file, text)
        return file

    def attachment(self, id: str) -> tuple[Attachment, str]:
        """An attachment and its text."""
        with self._database.reading() as connection:
            return attachment_rows.get_attachment(connection, id)

    # Export and import

    def export_chat(
        self, id: str, form: Literal["json", "markdown"] = "json", *, names: Mapping[str, str] = NAMES
    ) -> str:
        """One chat as a file's text: "json" has the whole tree, "markdown" the path that is shown.

        names: for Markdown, what stands above the turns: user, assistant, system, unfinished.
        """
        if form not in ("json", "markdown"):
            raise ValueError(f"[history] form: expected json or markdown, got {excerpt(form)}")
        with self._database.reading() as connection:
            chat = chat_rows.get_chat(connection, id)
            return (
                export_json(connection, [id]) if form == "json" else export_markdown(connection, chat, names)
            )

    def export_all(self) -> str:
        """All chats that are not deleted, as one JSON text."""
        with self._database.reading() as connection:
            return export_json(connection, chat_rows.all_ids(connection))

    def import_bytes(self, data: bytes, name: str) -> list[str]:
        """Take in a file of chats: an export of this program, or ChatGPT's conversations.json, or the .zip with it.

        name: of the file, for errors. Returns the ids of its chats; what is here already is not added again. Raises
        HistoryImportError, with the place in the file; then nothing of it is taken in.
        """
        packages = read_file(data, name)
        with self._database.changing() as connection:
            return [id for package in packages for id in write_package(connection, package)]

    # Search and settings

    def search(self, text: str, limit: int = 50) -> list[Hit]:
        """Titles and messages that have all words of `text`, newest first; deleted chats are left out."""
        with self._database.reading() as connection:
            return search(connection, text, limit)

    def setting(self, name: str, default: Any = None) -> Any:
        """A value that `set_setting` kept, or `default`."""
        query = select(settings_table.c.value).where(settings_table.c.name == name)
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        return default if row is None else row[0]

    def set_setting(self, name: str, value: Any) -> None:
        """Keep a value of JSON's kinds under a name."""
        check_text("[history] name of a setting", name)
        check_json(f"[history] setting {name}", value)
        row = insert(settings_table).values(name=name, value=value)
        row = row.on_conflict_do_update(index_elements=["name"], set_={"value": row.excluded.value})
        with self._database.changing() as connection:
            connection.execute(row)

    def _writer(self, state: str) -> str | None:
        return self._mark.id if state == "writing" else None

    def _write(self, id: str, state: State, changes: Mapping[str, Any]) -> None:
        check_columns({**changes, "state": state}, message_rows.CHANGEABLE)
        with self._database.changing() as connection:
            message_rows.change_message(connection, id, **changes, state=state, writer=self._writer(state))
            if state != "writing":
                chat = message_rows.get_message(connection, id).chat
                chat_rows.touch_chat(connection, chat, time.time())

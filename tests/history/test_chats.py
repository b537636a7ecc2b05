"""Chats: the list, changes, deletion with undo, settings, attachments."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="pip install '.[server]' brings it")

from belle_edge.history import History, HistoryMissingError


def test_a_chat_is_as_it_was_made(history: History) -> None:
    chat = history.new_chat(
        title="题目", model="belle", system="be kind", settings={"temperature": 0.5}, draft="d"
    )
    assert history.chat(chat.id) == chat
    assert (chat.title, chat.model, chat.system, chat.settings) == (
        "题目",
        "belle",
        "be kind",
        {"temperature": 0.5},
    )
    assert (chat.leaf, chat.pinned, chat.deleted) == (None, False, None)


def test_pinned_chats_first_then_the_newest(history: History) -> None:
    ids = [history.new_chat(title=str(number)).id for number in range(4)]
    history.add_message(ids[1], None, "user", "this one is newest")
    history.change_chat(ids[0], pinned=True)
    expected = [ids[0], ids[1], ids[3], ids[2]]
    assert [chat.id for chat in history.chats()] == expected
    pages, before = [], None
    while page := history.chats(limit=1, before=before):
        before = page[-1].id
        pages.append(before)
    assert pages == expected


def test_changes(history: History) -> None:
    chat, other = history.new_chat(), history.new_chat()
    message = history.add_message(chat.id, None, "user", "hello")
    changed = history.change_chat(chat.id, title="new", leaf=message.id, settings={"seed": 1}, draft="later")
    assert (changed.title, changed.leaf, changed.settings, changed.draft) == (
        "new",
        message.id,
        {"seed": 1},
        "later",
    )
    with pytest.raises(ValueError, match=r"expected one of draft, leaf, model, .*, got 'colour'"):
        history.change_chat(chat.id, colour="red")
    with pytest.raises(HistoryMissingError, match="no message of this chat"):
        history.change_chat(other.id, leaf=message.id)
    with pytest.raises(HistoryMissingError, match="there is no chat 'nobody'"):
        history.change_chat("nobody", title="x")


def test_deletion_can_be_undone_for_thirty_days(history: History) -> None:
    chat = history.new_chat(title="unique words")
    history.add_message(chat.id, None, "user", "hello there")
    history.delete_chat(chat.id)
    assert history.chats() == []
    assert history.search("hello") == history.search("unique") == []
    assert history.purge() == []
    assert history.restore_chat(chat.id).deleted is None
    assert [hit.message is None for hit in history.search("unique")] == [True]
    history.delete_chat(chat.id)
    assert history.purge(now=time.time() + 31 * 24 * 3600) == [chat.id]
    with pytest.raises(HistoryMissingError):
        history.restore_chat(chat.id)
    assert history.messages(chat.id) == []
    assert history.search("hello") == []


def test_settings(history: History) -> None:
    assert history.setting("theme") is None
    assert history.setting("theme", "light") == "light"
    history.set_setting("theme", "dark")
    history.set_setting("theme", {"name": "dark", "since": 2})
    assert history.setting("theme") == {"name": "dark", "since": 2}
    history.set_setting("theme", None)
    assert history.setting("theme", "light") is None


def test_attachments(history: History) -> None:
    chat = history.new_chat()
    one, two = history.attach("一.txt", "你好", tokens=2), history.attach("two.txt", "second")
    assert (one.bytes, one.tokens, two.tokens) == (6, 2, None)
    message = history.add_message(chat.id, None, "user", "see", attachments=[two.id, one.id])
    again = history.add_message(chat.id, None, "user", "see again", attachments=[one.id])
    assert message.attachments == [two, one]
    assert [list(row.attachments) for row in history.messages(chat.id)] == [[two, one], [one]]
    assert history.attachment(one.id) == (one, "你好")
    assert history.path(again.id)[0].attachments == [one]
    with pytest.raises(HistoryMissingError, match="there is no attachment 'none'"):
        history.add_message(chat.id, None, "user", "x", attachments=["none"])
    assert len(history.messages(chat.id)) == 2  # nothing of the refused one
    unused = history.attach("unused.txt", "never sent")
    history.purge(now=time.time() + 31 * 24 * 3600)
    assert history.attachment(one.id)[1] == "你好"
    with pytest.raises(HistoryMissingError):
        history.attachment(unused.id)


@pytest.mark.skipif(sys.platform == "win32", reason="modes of files are POSIX")
def test_only_the_owner_reads_it(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    with History(folder / "history.db") as history:
        history.new_chat()
        modes = {path.name: os.stat(path).st_mode & 0o777 for path in folder.iterdir()}
    assert len(modes) >= 3  # the file, its log, the mark of who writes
    assert set(modes.values()) == {0o600}
    assert os.stat(folder).st_mode & 0o777 == 0o700


def test_the_default_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BELLE_DATA", str(tmp_path / "mine"))
    with History() as history:
        assert history.file == tmp_path / "mine" / "history.db"

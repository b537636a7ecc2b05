"""Export and import: nothing is lost on the way, nothing comes twice, and a bad file changes nothing."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sqlalchemy", reason="pip install '.[server]' brings it")

from belle_edge.history import Chat, History, HistoryImportError, Message, importing

from .chatgpt_files import TALK, as_json, as_zip, conversation, node


@pytest.fixture
def other(tmp_path: Path) -> History:
    return History(tmp_path / "other" / "history.db")


def full_chat(history: History) -> Chat:
    """A chat with all that a chat can have."""
    chat = history.new_chat(
        title="题目", model="m", system="be\nkind", settings={"temperature": 0.5}, draft="to be"
    )
    file = history.attach("一.txt", "the text of\n```\na file", tokens=7)
    question = history.add_message(chat.id, None, "user", "question", token_ids=[1, 2], attachments=[file.id])
    history.add_message(
        chat.id,
        question.id,
        "assistant",
        "answer",
        state="length",
        token_ids=[3, 4],
        answer_begin=1,
        decoded_end=2,
        model="m",
        settings={"seed": 3},
        timings={"decode_s": 0.5},
        layout={"a": 1},
        error={"code": "e"},
        dropped=[question.id],
    )
    history.add_message(chat.id, question.id, "assistant", "half", state="writing")
    edited = history.add_message(chat.id, None, "user", "edited <b>question</b>")
    history.change_chat(chat.id, pinned=True, leaf=edited.id)
    return history.chat(chat.id)


def as_imported(message: Message) -> Message:
    """What is taken in of a message."""
    state = "cut" if message.state == "writing" else message.state
    return replace(message, token_ids=(), answer_begin=None, decoded_end=None, layout={}, state=state)


def test_there_and_back(history: History, other: History) -> None:
    chat = full_chat(history)
    exported = history.export_chat(chat.id).encode()
    assert other.import_bytes(exported, "chats.json") == [chat.id]
    assert other.chat(chat.id) == chat
    tree = history.messages(chat.id)
    assert other.messages(chat.id) == [as_imported(message) for message in tree]
    (file,) = tree[0].attachments
    assert other.attachment(file.id) == history.attachment(file.id)
    assert [hit.message for hit in other.search("question")] == [tree[3].id, tree[0].id]
    assert json.loads(exported)["chats"][0]["messages"][0]["token_ids"] == [1, 2]  # the file has everything


def test_a_second_import_brings_nothing(history: History) -> None:
    chat = full_chat(history)
    history.new_chat(title="another")
    before = [history.chats(), history.messages(chat.id)]
    assert len(history.import_bytes(history.export_all().encode(), "all.json")) == 2
    assert [history.chats(), history.messages(chat.id)] == before


def test_an_import_adds_what_is_lacking(history: History, other: History) -> None:
    """Messages that are here stay as they are, with their token ids; a deleted chat comes back."""
    chat = full_chat(history)
    older = history.export_chat(chat.id).encode()
    other.import_bytes(older, "chats.json")
    added = other.add_message(chat.id, chat.leaf, "assistant", "written elsewhere")
    history.change_chat(chat.id, title="renamed here")
    history.delete_chat(chat.id)
    history.import_bytes(other.export_all().encode(), "chats.json")
    assert history.chat(chat.id).title == "renamed here"
    assert history.chat(chat.id).deleted is None
    tree = history.messages(chat.id)
    assert [message.id for message in tree][-1] == added.id
    assert tree[0].token_ids == (1, 2)


def test_markdown(history: History) -> None:
    chat = full_chat(history)
    text = history.export_chat(chat.id, "markdown")
    assert text == (
        "# 题目\n\n*model: m, temperature: 0.5*\n\n## System\n\nbe\nkind\n\n## User\n\nedited <b>question</b>\n"
    )
    root = history.roots(chat.id)[0]
    history.change_chat(
        chat.id, leaf=history.leaf_below(root), title="# <b>a\n# b", system="", model=None, settings={}
    )
    names = {"user": "我", "assistant": "BELLE", "system": "S", "unfinished": "未完"}
    assert history.export_chat(chat.id, "markdown", names=names) == (
        "# \\# \\<b\\>a \\# b\n\n## 我\n\n一.txt\n\n````\nthe text of\n```\na file\n````\n\nquestion\n\n"
        "## BELLE (未完)\n\nhalf\n"
    )
    with pytest.raises(ValueError, match="expected json or markdown, got 'pdf'"):
        history.export_chat(chat.id, "pdf")  # type: ignore[arg-type]


@pytest.mark.parametrize("zipped", [False, True])
def test_chatgpt(history: History, zipped: bool) -> None:
    content = as_json(TALK, conversation(node("r", None), title=None, conversation_id="empty"))
    data = as_zip(content, "some folder/conversations.json") if zipped else content
    first, empty = history.import_bytes(data, "export")
    chat = history.chat(first)
    assert (chat.title, chat.created, chat.model, chat.system) == ("A talk", 1_700_000_000.5, None, "")
    assert (history.chat(empty).title, history.messages(empty)) == ("", [])
    shown = history.path(chat.leaf or "")
    assert [(message.role, message.text) for message in shown] == [
        ("user", "first question"),
        ("assistant", "```python\n1 + 1\n```\n\n```\n2\n```\n\nIt is two."),
        ("user", "second question"),
        ("assistant", "second answer"),
    ]
    assert (shown[0].created, shown[1].model) == (1_700_000_001.0, "a-model")
    again = [history.message(id).text for id in history.siblings(shown[3].id)]
    assert again == ["second answer", "second answer, again"]
    edits = [history.message(id).text for id in history.siblings(shown[0].id)]
    assert edits == ["first question", "[image]\n\nedited"]
    before = [history.chats(), history.messages(first)]
    assert history.import_bytes(content, "again") == [first, empty]
    assert [history.chats(), history.messages(first)] == before


def test_a_row_of_answers_that_branches_in_its_middle(history: History) -> None:
    """Each branch has the text before it; the middle is a message of its own where the other side goes on from it."""
    talk = conversation(
        node("q", None, "user", "q"),
        node("a1", "q", "assistant", "one"),
        node("a2", "a1", "assistant", "two"),
        node("a3", "a1", "assistant", "three"),
        node("q2", "a1", "user", "next"),
        current_node="a1",
    )
    (id,) = history.import_bytes(as_json(talk), "x")
    tree = {message.text: message for message in history.messages(id)}
    assert set(tree) == {"q", "one", "one\n\ntwo", "one\n\nthree", "next"}
    assert {tree[text].parent for text in ("one", "one\n\ntwo", "one\n\nthree")} == {tree["q"].id}
    assert tree["next"].parent == tree["one"].id
    assert history.chat(id).leaf == tree["one"].id


def test_the_order_is_that_of_time(history: History) -> None:
    talk = conversation(
        node("late", "q", "assistant", "late", create_time=30.0),
        node("q", None, "user", "q", create_time=10.0),
        node("early", "q", "assistant", "early", create_time=20.0),
    )
    (id,) = history.import_bytes(as_json(talk), "x")
    assert [message.text for message in history.messages(id)] == ["q", "early", "late"]


def test_instructions_become_the_system_text(history: History) -> None:
    talk = conversation(
        node("s", None, "system", "be kind"),
        node("hidden", "s", "user", "about me", metadata={"is_visually_hidden_from_conversation": True}),
        node("q", "hidden", "user", "q"),
    )
    (id,) = history.import_bytes(as_json(talk), "x")
    assert history.chat(id).system == "be kind"
    assert [message.text for message in history.messages(id)] == ["q"]


def own(**changes: Any) -> dict[str, Any]:
    """A file of ours with one chat of one message, and `changes` at "chat.title", "message.role", …"""
    ids = [f"{number:032x}" for number in range(3)]
    message = {"id": ids[1], "parent": None, "role": "user", "text": "t", "state": "finished", "created": 1.0}
    message["attachments"] = []
    chat = {"id": ids[0], "title": "t", "created": 1.0, "updated": 1.0, "messages": [message], "leaf": ids[1]}
    content = {"format": "belle-edge-chats", "version": 1, "chats": [chat], "attachments": []}
    places: dict[str, Any] = {"file": content, "chat": chat, "message": message}
    for name, value in changes.items():
        place, _, key = name.partition("_")
        places[place][key] = value
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"expected chats exported here, or ChatGPT's export .*, found no JSON: Expecting value"),
        (b"\xff\xfe{\x00}\x00", "expected UTF-8, got UTF-16"),
        (b'{"a": 1}', r"found an object with \['a'\]"),
        (b'"text"', "found 'text'"),
        (b"[" * 100_000, "at most 127 levels"),
        (b'[{"mapping": {}, "x": "\\ud800"}]', "not valid Unicode"),
        (own(file_version=2), r"chats\.json\.version: expected version 1, which .*, found 2"),
        (own(file_chats={}), r"chats\.json\.chats: expected a list, found {}"),
        (own(chat_id="../../etc"), r"chats\.json\.chats\[0\]\.id: expected an id of 32 hexadecimal digits"),
        (own(chat_title=5), r"chats\[0\]\.title: expected a text, found 5"),
        (own(chat_created="now"), r"chats\[0\]\.created: expected a time in seconds since 1970, found 'now'"),
        (own(chat_updated=-1), r"updated: expected a time"),
        (own(chat_settings=[1]), r"settings: expected an object"),
        (own(chat_settings={"a": 10**100}), "numbers of at most 53 bits"),
        (own(chat_leaf="f" * 32), r"leaf: expected a message of this chat"),
        (own(message_role="robot"), r"messages\[0\]\.role: expected user or assistant, found 'robot'"),
        (own(message_state="odd"), r"messages\[0\]\.state: expected one of finished, "),
        (own(message_text=None), r"messages\[0\]\.text: expected a text, found None"),
        (
            own(message_parent="f" * 32),
            r"parent: expected a message above it, but its parent is not in this chat",
        ),
        (own(message_parent=f"{1:032x}"), r"parent: expected a message above it, but it is its own ancestor"),
        (own(message_attachments=["f" * 32]), "expected an attachment that the file holds"),
        (own(message_dropped=[1]), r"dropped\[0\]: expected an id"),
        ([{"mapping": 5}], r"chats\.json\[0\]\.mapping: expected an object, found 5"),
        ([5], r"chats\.json\[0\]: expected an object, found 5"),
        ([conversation(node("a", "b"), node("b", "a"))], r"mapping\['a'\]\.parent: .* its own ancestor"),
        ([conversation(node("a", "z"))], r"mapping\['a'\]\.parent: .* not in this chat"),
        (
            [conversation(node("a", None, "robot", "x"))],
            r"role: expected user, assistant, tool or system, found 'robot'",
        ),
        (
            [conversation(node("a", None, "user", {"content_type": "text", "parts": [5]}))],
            r"parts\[0\]: expected an obj",
        ),
        (
            [conversation(node("a", None), current_node="z")],
            r"current_node: expected a node of this conversation",
        ),
        ([conversation(node("a", None), create_time="x")], r"create_time: expected a time"),
        (as_zip(b"[]", "other.json"), "found a zip file without it"),
        (as_zip(b"[{]"), r"chats\.json: conversations\.json: .* found no JSON"),
        (as_zip(b"[]" * 1000)[:200], "the zip file cannot be read"),
    ],
)
def test_bad_files_say_where_and_change_nothing(history: History, content: Any, message: str) -> None:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    with pytest.raises(HistoryImportError, match=message) as caught:
        history.import_bytes(data, "chats.json")
    assert str(caught.value).startswith("[import] chats.json")
    assert len(str(caught.value)) < 500
    assert history.chats() == []


def test_an_import_is_all_or_nothing(history: History, other: History) -> None:
    """The second chat has a message that is here in another one."""
    chat = history.new_chat()
    message = history.add_message(chat.id, None, "user", "mine")
    content = own()
    stolen = own(message_id=message.id, chat_id="e" * 32, chat_leaf=None)
    content["chats"] += stolen["chats"]
    with pytest.raises(HistoryImportError, match="is here already, in another chat"):
        history.import_bytes(json.dumps(content).encode(), "x")
    assert [found.id for found in history.chats()] == [chat.id]
    assert other.import_bytes(json.dumps(content).encode(), "x") == [content["chats"][0]["id"], "e" * 32]


def test_a_file_that_says_an_id_twice(history: History) -> None:
    content = own()
    content["chats"] += own(message_id="d" * 32, chat_leaf=None)["chats"]
    with pytest.raises(HistoryImportError, match=r"expected ids of their own, found 0{32} twice"):
        history.import_bytes(json.dumps(content).encode(), "x")


def test_bounds(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real bounds are of 128 MiB; smaller ones show that they are kept, and when."""
    monkeypatch.setattr(importing, "MAX_BYTES", 10_000)
    with pytest.raises(HistoryImportError, match="expected at most 10,000 bytes, found 10,001"):
        history.import_bytes(b" " * 10_001, "x")
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        bomb = as_zip(b"[" + b" " * 5_000_000 + b"]", method=method)
        assert len(bomb) < 10_000
        with pytest.raises(HistoryImportError, match="unpacks to more than 10,000 bytes"):
            history.import_bytes(bomb, "x")
    monkeypatch.setattr(importing, "MAX_CONTAINERS", 5)
    with pytest.raises(HistoryImportError, match="at most 5 objects and arrays"):
        history.import_bytes(b"[[],[],[],[],[],[]]", "x")

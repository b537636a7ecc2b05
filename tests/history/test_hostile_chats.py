"""Attack strings as titles, texts, names, ids and searches: kept and given back as they are, never acted on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sqlalchemy", reason="pip install '.[server]' brings it")

from belle_edge.history import History, HistoryImportError, HistoryMissingError
from belle_edge.rendering import render

from ..hostile.attack_strings import ADDRESSES, CONTROLS, FORMULAS, MARKUP
from ..rendering.safe_html import text_of_safe
from .chatgpt_files import as_json, conversation, node

SQL = [
    "'; DROP TABLE messages; --",
    '" OR 1=1 --',
    "1; ATTACH DATABASE '/tmp/x' AS y",
    "%' ESCAPE '\\",
    "\\%_",
    'a" NEAR/2 "b',
    "text : *",
    "{text} : x",
    "^begin",
    "-not AND (OR",
    "x" * 100_000,
    " ".join(f"word{number}" for number in range(10_000)),
]
STRINGS = [text for text in (*MARKUP, *ADDRESSES, *FORMULAS, *CONTROLS, *SQL) if "\ud800" not in text]


def test_kept_as_they_are(history: History, tmp_path: Path) -> None:
    chat = history.new_chat(title="t")
    for text in STRINGS:
        file = history.attach(text, text)
        message = history.add_message(chat.id, None, "user", text, model=text, attachments=[file.id])
        assert history.message(message.id).text == text
        assert history.attachment(file.id) == (file, text)
    with History(tmp_path / "other.db") as other:
        other.import_bytes(history.export_all().encode(), "all.json")
        assert [message.text for message in other.messages(chat.id)] == STRINGS
        assert [message.attachments[0].name for message in other.messages(chat.id)] == STRINGS


def test_searched_for(history: History) -> None:
    """What is searched is text, whatever it looks like; the parts of a hit are the text, not HTML."""
    chat = history.new_chat(title="t")
    for text in STRINGS:
        history.add_message(chat.id, None, "user", text)
    for text in STRINGS:
        for hit in history.search(text, limit=3):
            shown = "".join(part for part, _ in hit.parts).strip("…")
            assert any(shown in known for known in STRINGS)
    assert len(history.messages(chat.id)) == len(STRINGS)
    assert [hit.parts for hit in history.search("DROP TABLE", limit=1)] == [
        [("'; ", False), ("DROP", True), (" ", False), ("TABLE", True), (" messages; --", False)]
    ]


@pytest.mark.parametrize("text", ["../../etc/passwd", "'; --", "", "\x00", "%", "a" * 10_000])
def test_ids_that_are_none(history: History, text: str) -> None:
    for call in (history.chat, history.message, history.attachment, history.delete_chat, history.export_chat):
        with pytest.raises(HistoryMissingError) as caught:
            call(text)
        assert len(str(caught.value)) < 300


def test_titles_and_texts_of_imports(history: History) -> None:
    """A title is one line; Markdown that is exported shows an attack in a title or a name as text."""
    for number, text in enumerate(STRINGS):
        talk = conversation(node("q", None, "user", text or "x"), title=text, conversation_id=str(number))
        (id,) = history.import_bytes(as_json(talk), "conversations.json")
        title = history.chat(id).title
        assert title == " ".join(text.split())
        assert len(title.splitlines()) <= 1
        file = history.attach(text, text)
        history.add_message(id, None, "user", "plain", attachments=[file.id])
        blocks = render(history.export_chat(id, "markdown"))
        seen = [text_of_safe(block) for block in blocks]
        if len(title) < 10_000:
            assert blocks[0].startswith("<h1>")
            assert "<a " not in blocks[0]
            assert "<code" not in blocks[0]
            assert "<math" not in blocks[0]
        assert seen[-1].strip() == "plain"


@pytest.mark.parametrize(
    "change",
    [
        {"id": "<script>"},
        {"parent": ["x"]},
        {"attachments": {"x": 1}},
        {"settings": {"a": {"b": [10**30]}}},
        {"role": "<script>"},
        {"created": 1e300},
        {"created": True},
        {"text": ["<script>"]},
    ],
)
def test_imports_of_other_types(history: History, change: dict[str, Any]) -> None:
    chat = history.new_chat()
    history.add_message(chat.id, None, "user", "x")
    content = json.loads(history.export_all())
    content["chats"][0]["messages"][0] |= change
    with pytest.raises(HistoryImportError, match=r"^\[import\] x\.json"):
        history.import_bytes(json.dumps(content).encode(), "x.json")


def test_what_an_import_does_not_bring(history: History, tmp_path: Path) -> None:
    """Token ids that say another thing than the text would be an instruction that nobody sees."""
    chat = history.new_chat()
    message = history.add_message(chat.id, None, "user", "harmless", token_ids=[1], layout={"x": 1})
    exported = history.export_all()
    with History(tmp_path / "other.db") as other:
        other.import_bytes(exported.encode(), "all.json")
        found = other.message(message.id)
    assert (found.token_ids, found.layout) == ((), {})

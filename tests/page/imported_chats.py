"""Chats with contents that the bundled model would not write: made as a file of ours, and imported."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .watched_page import Watched


@dataclass(frozen=True)
class Turn:
    """One message of a chat."""

    role: str
    text: str
    state: str = "finished"
    more: dict[str, Any] = field(default_factory=dict)


def chat_file(title: str, turns: Sequence[Turn], **more: Any) -> bytes:
    """A file with one chat, each turn below the one before."""
    now = time.time()
    messages: list[dict[str, Any]] = []
    for number, turn in enumerate(turns):
        message = {
            "id": uuid.uuid4().hex,
            "parent": messages[-1]["id"] if messages else None,
            "role": turn.role,
            "text": turn.text,
            "state": turn.state,
            "created": now - len(turns) + number,
            "attachments": [],
            **turn.more,
        }
        messages.append(message)
    chat = {
        "id": uuid.uuid4().hex,
        "title": title,
        "created": now,
        "updated": now,
        "leaf": messages[-1]["id"],
        "messages": messages,
        **more,
    }
    content = {"format": "belle-edge-chats", "version": 1, "chats": [chat], "attachments": []}
    return json.dumps(content, ensure_ascii=False).encode()


def import_file(window: Watched, content: bytes, name: str = "chats.json") -> list[str]:
    """Through the interface that the page's button uses; ids of the new chats."""
    answer = window.context.request.post(f"{window.address}/page/v1/import?name={name}", data=content)
    assert answer.ok, answer.text()
    chats: list[str] = answer.json()["chats"]
    return chats


def bring_in(window: Watched, title: str, turns: Sequence[Turn], **more: Any) -> str:
    """Import a chat and open it in this window; its id."""
    [chat] = import_file(window, chat_file(title, turns, **more))
    window.open(f"/#chat/{chat}")
    window.page.wait_for_selector(".message")
    return chat

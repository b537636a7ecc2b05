"""Files as ChatGPT exports them, made here."""

from __future__ import annotations

import json
import zipfile
from io import BytesIO
from typing import Any


def node(id: str, parent: str | None, role: str = "", text: object = None, **more: Any) -> dict[str, Any]:
    """A node of a mapping. text: one part, or a whole content; without a role the node has no message."""
    content = text if isinstance(text, dict) else {"content_type": "text", "parts": [text]}
    message = {"id": id, "author": {"role": role}, "content": content, "create_time": None, **more}
    return {"id": id, "parent": parent, "children": [], "message": message if role else None}


def conversation(*nodes: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A conversation with a current node: the last one."""
    return {
        "title": "A talk",
        "create_time": 1_700_000_000.5,
        "update_time": 1_700_000_100.0,
        "mapping": {item["id"]: item for item in nodes},
        "conversation_id": "11111111-2222-3333-4444-555555555555",
        "current_node": nodes[-1]["id"],
        **more,
    }


def as_json(*conversations: dict[str, Any]) -> bytes:
    return json.dumps(list(conversations)).encode()


def as_zip(content: bytes, name: str = "conversations.json", method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("chat.html", "<script>alert(1)</script>")
        archive.writestr(name, content)
    return file.getvalue()


# A hidden beginning, a question, an answer that used a tool, an edited question with a branch of its own.
TALK = conversation(
    node("root", None),
    node("sys", "root", "system", ""),
    node("q1", "sys", "user", "first question", create_time=1_700_000_001.0),
    node("call", "q1", "assistant", {"content_type": "code", "language": "python", "text": "1 + 1"}),
    node("out", "call", "tool", {"content_type": "execution_output", "text": "2"}),
    node("a1", "out", "assistant", "It is two.", metadata={"model_slug": "a-model"}),
    node("q2", "a1", "user", "second question"),
    node("think", "q2", "assistant", {"content_type": "thoughts", "thoughts": []}),
    node("a2", "think", "assistant", "second answer"),
    node("a2b", "think", "assistant", "second answer, again"),
    node(
        "q1b",
        "sys",
        "user",
        {"content_type": "multimodal_text", "parts": [{"content_type": "image"}, "edited"]},
        create_time=1_700_000_050.0,
    ),
    node("a1b", "q1b", "assistant", "an answer to the edit"),
    current_node="a2",
)

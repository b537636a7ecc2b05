"""Chats, messages and hits as JSON for the page."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from threading import Lock
from typing import Any

from ...history import Attachment, Chat, Hit, Message
from ...rendering import render, visible_line
from .spoken_language import language_of

_KEPT_BYTES = 16 << 20  # of rendered answers


class RenderedAnswers:
    """Blocks of answers that do not change any more, so that scrolling renders nothing twice. For any thread."""

    def __init__(self, *, most_bytes: int = _KEPT_BYTES) -> None:
        self._most_bytes = most_bytes
        self._n_bytes = 0
        self._known: OrderedDict[tuple[str, int], list[str]] = OrderedDict()
        self._lock = Lock()

    def of(self, message: Message) -> list[str]:
        """Safe HTML, one text per block."""
        key = (message.id, hash(message.text))
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        blocks = render(message.text)
        with self._lock:
            if key not in self._known:
                self._known[key] = blocks
                self._n_bytes += _size(blocks)
            while self._n_bytes > self._most_bytes:
                self._n_bytes -= _size(self._known.popitem(last=False)[1])
        return blocks


def _size(blocks: Iterable[str]) -> int:
    return sum(map(len, blocks))


def chat_json(chat: Chat, *, writing: bool) -> dict[str, Any]:
    """An entry of the list of chats, and all that belongs to an open one."""
    return {
        "id": chat.id,
        "title": visible_line(chat.title),
        "pinned": chat.pinned,
        "created": chat.created,
        "updated": chat.updated,
        "model": chat.model,
        "leaf": chat.leaf,
        "writing": writing,
        "system": chat.system,
        "settings": dict(chat.settings),
        "draft": chat.draft,
    }


def message_json(message: Message, siblings: Sequence[str], blocks: Sequence[str] | None) -> dict[str, Any]:
    """blocks: of an answer."""
    shown: dict[str, Any] = {
        "id": message.id,
        "chat": message.chat,
        "parent": message.parent,
        "role": message.role,
        "text": message.text,
        "language": language_of(message.text),
        "state": message.state,
        "created": message.created,
        "siblings": list(siblings),
        "settings": _settings(message.settings),
        "seed": message.settings.get("seed"),
        "template": message.settings.get("template"),
        "model": message.model,
        "timings": dict(message.timings),
        "attachments": [attachment_json(file) for file in message.attachments],
        "error": None if message.error is None else dict(message.error),
        "dropped": list(message.dropped),
    }
    if blocks is not None:
        shown["blocks"] = list(blocks)
    return shown


def _settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in ("seed", "template")}


def attachment_json(file: Attachment) -> dict[str, Any]:
    return {"id": file.id, "name": visible_line(file.name), "bytes": file.bytes, "tokens": file.tokens}


def hit_json(hit: Hit) -> dict[str, Any]:
    return {
        "chat": hit.chat,
        "title": visible_line(hit.title),
        "message": hit.message,
        "parts": [[text, is_hit] for text, is_hit in hit.parts],
    }


def title_of(text: str) -> str:
    """A chat's title from its first question: the first line, cut at a word."""
    line = " ".join(next((line for line in text.splitlines() if line.strip()), "").split())
    if len(line) <= 60:
        return line
    cut = line[:60]
    return (cut.rpartition(" ")[0] if " " in cut[30:] else cut).rstrip(" ,.;:，。；：、") + "…"

"""What goes to a client while an answer is written: server-sent events, or a JSON text per line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from starlette.types import Message, Send

EVENTS, LINES, ONE = "text/event-stream; charset=utf-8", "application/x-ndjson", "application/json"
DONE = b"data: [DONE]\n\n"
_LAST_WORD_S = 5.0  # for a client that reads nothing


def json_bytes(value: Any) -> bytes:
    """Compact JSON as UTF-8; half a surrogate pair, which a request can quote, becomes `?`."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "replace")


def event(value: Mapping[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + json_bytes(value) + b"\n\n"


def line(value: Mapping[str, Any]) -> bytes:
    """One line of NDJSON."""
    return json_bytes(value) + b"\n"


class Outgoing:
    """One response: its head goes out with its first bytes."""

    def __init__(self, send: Send, media_type: str) -> None:
        self._send = send
        self._media_type = media_type
        self.started = False

    async def write(self, content: bytes) -> None:
        """A part of a stream."""
        if not self.started:
            await self._start(200, self._media_type, {"cache-control": "no-store", "x-accel-buffering": "no"})
        await self._send(_body(content, more=True))

    async def end(self) -> None:
        """Nothing more comes."""
        if not self.started:
            await self._start(200, self._media_type, {})
        await self._send(_body(b"", more=False))

    async def whole(self, status: int, value: Any, headers: Mapping[str, str] | None = None) -> None:
        """A response of one piece of JSON."""
        content = json_bytes(value)
        await self._start(status, ONE, {**(headers or {}), "content-length": str(len(content))})
        await self._send(_body(content, more=False))

    async def last_words(self, content: bytes) -> None:
        """Parts after which nothing comes, for a client that may have stopped reading."""

        async def both() -> None:
            await self.write(content)
            await self.end()

        try:
            await asyncio.wait_for(both(), _LAST_WORD_S)
        except asyncio.TimeoutError:
            return

    async def _start(self, status: int, media_type: str, headers: Mapping[str, str]) -> None:
        self.started = True
        pairs = [
            (name.encode(), value.encode()) for name, value in {"content-type": media_type, **headers}.items()
        ]
        await self._send({"type": "http.response.start", "status": status, "headers": pairs})


def _body(content: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": content, "more_body": more}

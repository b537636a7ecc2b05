"""The response of GET /page/v1/events: server-sent events for one window, until it leaves."""

from __future__ import annotations

import asyncio

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..early_end import Shutdown
from ..streaming import EVENTS, Outgoing
from .event_hub import EventHub, EventReader

_QUIET_S = 15.0  # after which a comment keeps the line open
_COMMENT = b":\n\n"


class EventStream(Response):
    """Follows the hub."""

    def __init__(self, hub: EventHub, shutdown: Shutdown, language: str) -> None:
        super().__init__()
        self._hub = hub
        self._shutdown = shutdown
        self._language = language

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        window, hello = self._hub.open(self._language)
        gone = asyncio.create_task(_until_gone(window, receive))
        out = Outgoing(send, EVENTS)
        try:
            self._shutdown.watch(window)
            await out.write(hello)
            while (content := await _next(window)) is not None:
                await out.write(content)
            await out.end()
        finally:
            self._hub.forget(window)
            self._shutdown.forget(window)
            gone.cancel()


async def _next(window: EventReader) -> bytes | None:
    """All events that wait, as one piece; a comment where there were none for long; None at the end."""
    try:
        first = await asyncio.wait_for(window.queue.get(), _QUIET_S)
    except asyncio.TimeoutError:
        return _COMMENT
    if first is None:
        return None
    parts = [first]
    while not window.queue.empty():
        content = window.queue.get_nowait()
        if content is None:
            window.close()
            break
        parts.append(content)
    return b"".join(parts)


async def _until_gone(window: EventReader, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    window.close()

"""What happens, told to every open window at once and in the same order; who reads too slowly is let go."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ..server_errors import ApiError
from ..streaming import event as event_bytes
from .localizing import localized

_AHEAD = 256  # events that may wait for a window
_WITH_ERRORS = ("message", "model", "job")  # events with texts that are translated for each window

Event = dict[str, Any]


@dataclass
class RunningAnswer:
    """What a window that comes late has to know of an answer."""

    chat: str
    blocks: list[str] = field(default_factory=list)
    progress: Event | None = None


class EventReader:
    """One reader of events."""

    writes = False  # for the end of the server: nothing of it has to go on

    def __init__(self, language: str) -> None:
        self.language = language
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue()

    def put(self, content: bytes) -> bool:
        """Whether it takes events still."""
        if self.queue.qsize() >= _AHEAD:
            self.close()
            return False
        self.queue.put_nowait(content)
        return True

    def close(self) -> None:
        """It gets what it was given, and then its end."""
        self.queue.put_nowait(None)

    def end(self, reason: ApiError) -> None:
        """The server ends."""
        self.close()


class EventHub:
    """Windows and running answers. `publish` is for any thread, the rest for the event loop."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._windows: set[EventReader] = set()
        self.running: dict[str, RunningAnswer] = {}  # by message

    def start(self) -> None:
        """In the event loop that serves."""
        self._loop = asyncio.get_running_loop()

    @property
    def n_windows(self) -> int:
        return len(self._windows)

    def publish(self, event: Event) -> None:
        """Tell everybody."""
        content = event_bytes(event)
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._send, event, content)

    def open(self, language: str) -> tuple[EventReader, bytes]:
        """A window from now on, and its first events: what is going on."""
        window = EventReader(language)
        self._windows.add(window)
        answers = [
            {"message": id, "chat": answer.chat, "blocks": answer.blocks}
            for id, answer in self.running.items()
        ]
        first = [event_bytes({"type": "hello", "answers": answers})]
        first += [event_bytes(answer.progress) for answer in self.running.values() if answer.progress]
        return window, b"".join(first)

    def forget(self, window: EventReader) -> None:
        """It is closed."""
        self._windows.discard(window)

    def close(self) -> None:
        """End all windows."""
        for window in list(self._windows):
            window.close()

    def _send(self, event: Event, content: bytes) -> None:
        self._note(event)
        translated: dict[str, bytes] = {"en": content}
        for window in list(self._windows):
            language = window.language if event["type"] in _WITH_ERRORS else "en"
            if language not in translated:
                translated[language] = event_bytes(localized(event, language))
            if not window.put(translated[language]):
                self._windows.discard(window)

    def _note(self, event: Event) -> None:
        """For windows to come."""
        kind = event["type"]
        if kind == "message":
            message = event["message"]
            if message["state"] == "writing":
                self.running.setdefault(message["id"], RunningAnswer(message["chat"]))
            else:
                self.running.pop(message["id"], None)
        elif kind in ("blocks", "progress") and (answer := self.running.get(event["message"])) is not None:
            if kind == "blocks":
                answer.blocks = answer.blocks[: event["from"]] + event["blocks"]
            else:
                answer.progress = event

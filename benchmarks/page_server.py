"""For the benchmarks of the page: a real server, its calls, and a window that reads its events."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

_START_S = 180
_ANSWER_S = 300


class PageServer:
    """One `belle-edge serve` with its data in a folder of its own."""

    def __init__(self, arguments: Sequence[str], data: Path) -> None:
        self._log = data / f"server-{time.monotonic_ns()}.log"
        command = [sys.executable, "-m", "belle_edge", "serve", *arguments, "--port", "0"]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "BELLE_DATA": str(data)}
            )
        address = self._address()
        self._http = httpx.Client(base_url=f"{address}/page/v1", timeout=_ANSWER_S)

    def __enter__(self) -> PageServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(120)

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def get(self, path: str, **query: Any) -> Any:
        return self._http.get(path, params=query).raise_for_status().json()

    def post(self, path: str, body: Any = None) -> Any:
        return self._http.post(path, json=body).raise_for_status().json()

    def patch(self, path: str, body: Any) -> Any:
        return self._http.patch(path, json=body).raise_for_status().json()

    def chat(self, **settings: Any) -> str:
        """A new one."""
        return str(self.post("/chats", {"settings": settings})["id"])

    def ask(self, chat: str, text: str) -> str:
        """A question at the end of a chat; the id of its answer, which is on its way."""
        leaf = self.get(f"/chats/{chat}")["leaf"]
        return str(self.post(f"/chats/{chat}/answers", {"text": text, "parent": leaf})["assistant"]["id"])

    def go_on(self, chat: str, message: str) -> str:
        """Have an answer continued; its id."""
        return str(self.post(f"/chats/{chat}/answers", {"continue": message})["assistant"]["id"])

    def ended(self, id: str, chat: str, *, every_s: float = 0.02) -> dict[str, Any]:
        """An answer when it is not being written any more; looked for so often."""
        end = time.monotonic() + _ANSWER_S
        while time.monotonic() < end:
            (message,) = self.get(f"/chats/{chat}/messages", limit=1, around=id)["messages"]
            if message["state"] != "writing":
                return dict(message)
            time.sleep(every_s)
        raise TimeoutError("the answer did not end")

    def messages(self, chat: str) -> list[dict[str, Any]]:
        return list(self.get(f"/chats/{chat}/messages", limit=500)["messages"])

    def events(self) -> Events:
        return Events(self._http)

    def _address(self) -> str:
        end = time.monotonic() + _START_S
        while time.monotonic() < end and self.process.poll() is None:
            if found := re.search(r"^listening on (\S+)$", self._log.read_text("utf-8"), re.MULTILINE):
                return found[1]
            time.sleep(0.02)
        self.process.kill()
        raise RuntimeError(f"the server did not start: {self._log.read_text('utf-8')}")


class Events:
    """What a window hears, from its opening to its end."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._news = threading.Condition()
        self._all: list[dict[str, Any]] = []
        self._ended = False

    def __enter__(self) -> Events:
        threading.Thread(target=self._read, daemon=True).start()
        self.wait(lambda event: event["type"] == "hello")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True

    def wait(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first event that is wanted, from the beginning."""
        end, at = time.monotonic() + _ANSWER_S, 0
        with self._news:
            while True:
                for event in self._all[at:]:
                    if wanted(event):
                        return event
                at = len(self._all)
                if not self._news.wait(end - time.monotonic()):
                    raise TimeoutError("the event did not come")

    def ended(self, id: str) -> dict[str, Any]:
        """An answer at its end."""
        event = self.wait(
            lambda event: (
                event["type"] == "message"
                and event["message"]["id"] == id
                and event["message"]["state"] != "writing"
            )
        )
        return dict(event["message"])

    def _read(self) -> None:
        try:
            with self._client.stream("GET", "/events") as response:
                for line in response.iter_lines():
                    if self._ended:
                        return
                    if line.startswith("data: "):
                        with self._news:
                            self._all.append(json.loads(line[6:]))
                            self._news.notify_all()
        except httpx.HTTPError:  # the server has ended
            return

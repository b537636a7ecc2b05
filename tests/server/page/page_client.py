"""A window of the page: its calls and its events, as the browser makes and reads them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx

SECONDS = 30.0
# Goes on until somebody stops it: any token is as likely as the one that ends an answer.
ENDLESS = {
    "temperature": 1000.0,
    "top_k": 0,
    "top_p": 1.0,
    "seed": 3,
    "max_tokens": 100_000,
    "overflow": "slide",
}


class PageClient:
    """Calls of /page/v1."""

    def __init__(self, address: str, *, language: str = "en", key: str | None = None) -> None:
        headers = {"accept-language": language, "origin": address}
        if key is not None:
            headers["authorization"] = f"Bearer {key}"
        self.http = httpx.Client(base_url=f"{address}/page/v1", timeout=SECONDS, headers=headers)

    def get(self, path: str, /, **query: Any) -> Any:
        return self.checked(self.http.get(path, params=query))

    def post(self, path: str, body: Any = None, *, content: bytes | None = None, **query: Any) -> Any:
        return self.checked(self.http.post(path, json=body, content=content, params=query))

    def patch(self, path: str, body: Any) -> Any:
        return self.checked(self.http.patch(path, json=body))

    def delete(self, path: str) -> None:
        self.checked(self.http.delete(path))

    @staticmethod
    def checked(response: httpx.Response) -> Any:
        assert response.status_code < 300, response.text
        return response.json() if response.content else None

    def refused(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, dict[str, Any]]:
        """The status and the error of a call that is to fail."""
        response = self.http.request(method, path, json=body, **more)
        assert response.status_code >= 400, response.text
        error: dict[str, Any] = response.json()["error"]
        return response.status_code, error

    # ---- chats

    def chat(self, **settings: Any) -> str:
        """A new one; with temperature 0 unless said otherwise."""
        body = {"settings": {"temperature": 0, "max_tokens": 12, **settings}}
        return str(self.post("/chats", body)["id"])

    def ask(self, chat: str, text: str, parent: str | None = None, **more: Any) -> dict[str, Any]:
        """A question and its whole answer; below the chat's leaf unless `parent` is given."""
        parent = parent or self.get(f"/chats/{chat}")["leaf"]
        begun = self.post(f"/chats/{chat}/answers", {"text": text, "parent": parent, **more})
        return self.ended(begun["assistant"]["id"], chat)

    def again(self, chat: str, message: str) -> dict[str, Any]:
        return self.ended(
            self.post(f"/chats/{chat}/answers", {"regenerate": message})["assistant"]["id"], chat
        )

    def more(self, chat: str, message: str) -> dict[str, Any]:
        return self.ended(self.post(f"/chats/{chat}/answers", {"continue": message})["assistant"]["id"], chat)

    def message(self, id: str, chat: str) -> dict[str, Any]:
        found = self.get(f"/chats/{chat}/messages", limit=1, around=id)["messages"]
        assert found[0]["id"] == id
        return dict(found[0])

    def messages(self, chat: str) -> list[dict[str, Any]]:
        return list(self.get(f"/chats/{chat}/messages", limit=500)["messages"])

    def ended(self, id: str, chat: str) -> dict[str, Any]:
        """An answer when it is not being written any more."""
        return self.until(id, chat, lambda message: message["state"] != "writing")

    def until(self, id: str, chat: str, happened: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        end = time.monotonic() + SECONDS
        while not happened(message := self.message(id, chat)):
            assert time.monotonic() < end, message
            time.sleep(0.01)
        return message


class Events:
    """What a window hears, in a thread, from its opening until `close`."""

    def __init__(self, client: PageClient) -> None:
        self.all: list[dict[str, Any]] = []
        self._client = client
        self._news = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        self.wait(lambda event: event["type"] == "hello")

    def wait(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first event that is wanted, from the beginning."""
        end = time.monotonic() + SECONDS
        at = 0
        with self._news:
            while True:
                for event in self.all[at:]:
                    if wanted(event):
                        return event
                at = len(self.all)
                left = end - time.monotonic()
                assert left > 0, [event["type"] for event in self.all]
                self._news.wait(left)

    def ended(self, message: str) -> dict[str, Any]:
        """The answer at its end."""
        event = self.wait(
            lambda event: (
                event["type"] == "message"
                and event["message"]["id"] == message
                and event["message"]["state"] != "writing"
            )
        )
        return dict(event["message"])

    def blocks(self, message: str) -> list[str]:
        """What the window shows of an answer, put together as the page does."""
        shown: list[str] = []
        for event in list(self.all):
            if event["type"] == "hello":
                for answer in event["answers"]:
                    if answer["message"] == message:
                        shown = list(answer["blocks"])
            elif event["type"] == "blocks" and event["message"] == message:
                assert event["from"] <= len(shown)
                shown[event["from"] :] = event["blocks"]
        return shown

    def of(self, kind: str, message: str) -> list[dict[str, Any]]:
        return [
            event for event in list(self.all) if event["type"] == kind and event.get("message") == message
        ]

    def close(self) -> None:
        self._closed = True

    def _read(self) -> None:
        try:
            with self._client.http.stream("GET", "/events") as response:
                assert response.status_code == 200
                for line in response.iter_lines():
                    if self._closed:
                        return
                    if line.startswith("data: "):
                        with self._news:
                            self.all.append(json.loads(line[6:]))
                            self._news.notify_all()
        except httpx.HTTPError:  # the server has ended
            return

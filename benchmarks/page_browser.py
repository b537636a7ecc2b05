"""The chat page in Chromium, on a server of its own, for the benchmarks and the pictures of it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from playwright.sync_api import Browser, Page, sync_playwright
from server_processes import belle_server

from belle_edge.convert import convert
from belle_edge.demo import checkpoint_path

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def served_page(*, name: str = "demo", context: int | None = None) -> Iterator[str]:
    """The address of a server with empty chats and the bundled model. context: tokens, where its 256 are too few."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, model = Path(folder) / "checkpoint", Path(folder) / f"{name}.gguf"
        shutil.copytree(checkpoint_path(), checkpoint)
        if context is not None:  # BLOOM has no table of positions: any number will do
            config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
            config["seq_length"] = context
            (checkpoint / "config.json").write_text(json.dumps(config), encoding="utf-8")
        convert(checkpoint, model, type="q8_0", family="belle")
        os.environ["BELLE_DATA"] = str(Path(folder) / "data")
        with belle_server(model) as server:
            yield server.url


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's browser."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        raise SystemExit("no Chromium found: apt install chromium fonts-noto-cjk")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


def opened(browser: Browser, address: str, **options: Any) -> Page:
    """A fresh window that shows the page."""
    page = browser.new_context(**options).new_page()
    page.goto(address)
    page.wait_for_selector("body[data-ready]")
    return page


def bring_in(address: str, title: str, turns: Sequence[tuple[str, str]], **more: Any) -> str:
    """Import a chat whose turns are (role, text); its id. more: fields of every message."""
    now = time.time()
    messages: list[dict[str, Any]] = []
    for role, text in turns:
        above = messages[-1]["id"] if messages else None
        message = {"id": uuid.uuid4().hex, "parent": above, "role": role, "text": text, "state": "finished"}
        messages.append({**message, "created": now, "attachments": [], **more})
    chat = {
        "id": uuid.uuid4().hex,
        "title": title,
        "created": now,
        "updated": now,
        "leaf": messages[-1]["id"],
    }
    content = {"format": "belle-edge-chats", "version": 1, "chats": [{**chat, "messages": messages}]}
    body = json.dumps(content, ensure_ascii=False).encode()
    with urlopen(Request(f"{address}/page/v1/import?name=chats.json", data=body, method="POST")) as answer:
        chats: list[str] = json.load(answer)["chats"]
    return chats[0]

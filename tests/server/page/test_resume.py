"""After a restart: chats go on from their saved caches with the bits of a chat that was never interrupted."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import StartPage
from .page_client import Events, PageClient

TURNS = ("12加30等于多少？" * 4, "讲一个很长的故事吧" * 3, "你好", "再见")


def told(page: PageClient, chat: str) -> list[tuple[str, str]]:
    return [(message["state"], message["text"]) for message in page.messages(chat)]


@pytest.mark.parametrize("cache", ["kept", "lost", "damaged", "off"])
def test_a_restart_changes_nothing(start_page: StartPage, tmp_path: Path, cache: str) -> None:
    """With the cache only the new turn is computed; without, or with a damaged one, all of it, to the same bits."""
    settings = {"max_tokens": 40, "temperature": 0.9, "seed": 5}
    flags = ["--chat-cache", "0"] if cache == "off" else []
    server, page = start_page(*flags, data=tmp_path)
    whole, chat = page.chat(**settings), page.chat(**settings)
    for text in TURNS:
        page.ask(whole, text)
    for text in TURNS[:2]:
        page.ask(chat, text)
    assert server.stop() == 0
    files = list((tmp_path / "chat-caches").glob("*"))
    if cache == "off":
        assert not files
    else:
        assert {file.name for file in files} == {f"{chat}.cache", f"{whole}.cache"}
        assert all(file.stat().st_mode & 0o077 == 0 for file in files)
    mine = tmp_path / "chat-caches" / f"{chat}.cache"
    if cache == "lost":
        shutil.rmtree(mine.parent)
    elif cache == "damaged":
        content = bytearray(mine.read_bytes())
        content[len(content) // 2] ^= 1
        mine.write_bytes(content)
    server, page = start_page(*flags, data=tmp_path)
    third = page.ask(chat, TURNS[2])
    n_computed = third["timings"]["prompt_tokens"] - third["timings"]["cached_tokens"]
    if cache == "kept":
        assert n_computed < 16
    elif cache in ("damaged", "lost", "off"):
        assert third["timings"]["cached_tokens"] == 0
    page.ask(chat, TURNS[3])
    assert told(page, chat) == told(page, whole)
    server.stop()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_answer_that_was_cut_off(
    start_page: StartPage, converted: Callable[[str, str], Path], tmp_path: Path, number: int
) -> None:
    """What was written is there, marked; finished messages are; the answer goes on."""
    data, model = tmp_path / "data", converted("large", "f32")  # its answers end only at their limit
    server, page = start_page(data=data, model=model)
    chat = page.chat(overflow="slide")
    page.patch(f"/chats/{chat}", {"settings": {"max_tokens": 10}})
    first = page.ask(chat, TURNS[0])
    page.patch(f"/chats/{chat}", {"settings": {"max_tokens": 100_000}, "draft": "angefangen"})
    events = Events(page)
    begun = page.post(f"/chats/{chat}/answers", {"text": TURNS[1], "parent": first["id"]})
    id = begun["assistant"]["id"]
    page.until(id, chat, lambda message: len(message["text"]) > 20)  # something was stored
    server.process.send_signal(number)
    server.process.wait(30)
    events.close()
    server, page = start_page(data=data, model=model)
    shown = page.messages(chat)
    assert [message["state"] for message in shown] == ["finished", first["state"], "finished", "cut"]
    assert shown[1]["text"] == first["text"]
    assert len(shown[3]["text"]) > 20
    assert page.get(f"/chats/{chat}")["draft"] == "angefangen"
    assert not page.get(f"/chats/{chat}")["writing"]
    page.patch(f"/chats/{chat}", {"settings": {"max_tokens": 5}})
    more = page.more(chat, id)
    assert more["text"].startswith(shown[3]["text"])
    assert more["state"] == "length"
    server.stop()

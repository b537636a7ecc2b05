"""Chats: the list, changes that every window hears, delete and undo, search, windows of messages, files in and out."""

from __future__ import annotations

import json

import pytest

from .conftest import StartPage
from .page_client import ENDLESS, Events, PageClient


def test_the_list(page: PageClient) -> None:
    events = Events(page)
    chats = [page.chat() for _ in range(4)]
    page.patch(f"/chats/{chats[0]}", {"pinned": True, "title": "oben"})
    first = page.get("/chats", limit=3)
    assert [chat["id"] for chat in first["chats"]] == [chats[0], chats[3], chats[2]]
    assert first["more"]
    assert page.get("/chats", limit=3, before=chats[2])["chats"][0]["id"] == chats[1]
    heard = events.wait(lambda event: event["type"] == "chat" and event["chat"]["pinned"])
    assert heard["chat"]["title"] == "oben"
    page.delete(f"/chats/{chats[0]}")
    events.wait(lambda event: event["type"] == "chat-deleted" and event["chat"] == chats[0])
    assert chats[0] not in [chat["id"] for chat in page.get("/chats")["chats"]]
    assert page.refused("POST", f"/chats/{chats[0]}/answers", {"text": "a"})[1]["code"] == "chat_deleted"
    assert page.post(f"/chats/{chats[0]}/restore")["pinned"]
    events.close()


def test_settings_of_a_chat(page: PageClient) -> None:
    chat = page.chat()
    page.patch(f"/chats/{chat}", {"settings": {"top_k": 5}})
    assert page.get(f"/chats/{chat}")["settings"] == {"temperature": 0, "max_tokens": 12, "top_k": 5}
    page.patch(f"/chats/{chat}", {"settings": {"temperature": None}})
    assert "temperature" not in page.get(f"/chats/{chat}")["settings"]
    answer = page.ask(chat, "你好")
    assert answer["settings"]["temperature"] == page.get("/models")[0]["preset"]["temperature"]
    for wrong in ({"temperature": -1}, {"nothing": 1}, {"overflow": "cut"}, {"max_tokens": 0}):
        assert page.refused("PATCH", f"/chats/{chat}", {"settings": wrong})[0] == 400
    assert page.refused("PATCH", f"/chats/{chat}", {"model": "none"})[1]["code"] == "model_not_found"


def test_settings_of_the_page(page: PageClient) -> None:
    events = Events(page)
    assert page.patch("/settings", {"language": "zh", "theme": "dark"})["language"] == "zh"
    assert events.wait(lambda event: event["type"] == "settings")["settings"]["theme"] == "dark"
    assert page.get("/state")["language"] == "zh"
    assert "theme" not in page.patch("/settings", {"theme": None, "language": None})
    for wrong in ({"language": "xx"}, {"a b": 1}, {"list": [1]}, {"long": "x" * 3000}):
        assert page.refused("PATCH", "/settings", wrong)[0] == 400
    events.close()


def test_windows_of_messages(page: PageClient) -> None:
    chat = page.chat(max_tokens=1, overflow="slide")
    for number in range(4):
        page.ask(chat, f"第{number}")
    ids = [message["id"] for message in page.messages(chat)]

    def got(**query: object) -> tuple[list[str], bool, bool]:
        found = page.get(f"/chats/{chat}/messages", **query)
        return [message["id"] for message in found["messages"]], found["more"], found["more_after"]

    assert got(limit=3) == (ids[5:], True, False)
    assert got(limit=3, before=ids[5]) == (ids[2:5], True, True)
    assert got(limit=3, after=ids[1]) == (ids[2:5], True, True)
    assert got(limit=4, around=ids[4]) == (ids[2:6], True, True)
    assert got(limit=50) == (ids, False, False)
    branch = page.again(chat, ids[1])
    assert got(limit=50)[0] == [ids[0], branch["id"]]
    found = page.get(f"/chats/{chat}/messages", limit=50, around=ids[3])  # on the other branch
    assert [message["id"] for message in found["messages"]] == ids
    assert found["leaf"] == ids[-1]


def test_search(page: PageClient) -> None:
    chat = page.chat(max_tokens=1)
    page.ask(chat, "杜鹃花在春天开放")
    hits = [hit for hit in page.get("/search", q="杜鹃花")["hits"] if hit["message"]]
    assert [hit["chat"] for hit in hits] == [chat]
    assert ["杜鹃花", True] in hits[0]["parts"]
    assert page.get("/search", q=" ")["hits"] == []


def test_attachments(page: PageClient) -> None:
    text = "第一行\r\n```\ncode\n```\n"
    made = page.post("/attachments", content=text.encode("gb18030"), name="../目录/笔记.txt")
    assert made["name"] == "笔记.txt"
    assert made["tokens"] > 0
    chat = page.chat(max_tokens=2)
    body = {"text": "总结", "attachments": [made["id"]], "parent": None}
    measure = page.post(f"/chats/{chat}/measure", body)
    assert measure["tokens"] > made["tokens"]
    answer = page.ask(chat, "总结", attachments=[made["id"]])
    assert answer["timings"]["prompt_tokens"] == measure["tokens"]
    question = page.messages(chat)[0]
    assert question["text"] == "总结"
    assert [file["id"] for file in question["attachments"]] == [made["id"]]
    assert page.get(f"/attachments/{made['id']}") == {**made, "text": text.replace("\r\n", "\n")}
    for content, code in (
        (b"\x89PNG\r\n\x1a\n\x00\x00\x01\x02", "not_text"),
        (b"a" * (3 << 20), "attachment_too_large"),
    ):
        response = page.http.post("/attachments", content=content, params={"name": "a"})
        assert response.json()["error"]["code"] == code


def test_files_out_and_in(page: PageClient, start_page: StartPage) -> None:
    """What another computer exported goes on here as it does there."""
    chat = page.chat()
    page.ask(chat, "12加30等于多少？")
    response = page.http.get(f"/chats/{chat}/export", params={"format": "json"})
    assert "attachment" in response.headers["content-disposition"]
    assert json.loads(response.content)
    assert "12加30" in page.http.get(f"/chats/{chat}/export", params={"format": "markdown"}).text
    _, other = start_page()
    (copy,) = other.post("/import", content=response.content, name="chat.json")["chats"]
    assert [m["text"] for m in other.messages(copy)] == [m["text"] for m in page.messages(chat)]
    answer = other.ask(copy, "你好")
    assert answer["text"] == page.ask(chat, "你好")["text"]
    assert answer["timings"]["cached_tokens"] == 0
    assert page.http.post("/import", content=b"{").status_code == 400


def test_errors_in_the_language_of_the_request(page: PageClient) -> None:
    chinese = PageClient(str(page.http.base_url).removesuffix("/page/v1/"), language="zh-CN")
    english = page.refused("POST", f"/chats/{page.chat()}/answers", {"text": ""})[1]
    translated = chinese.refused("POST", f"/chats/{page.chat()}/answers", {"text": ""})[1]
    assert english["code"] == translated["code"]
    assert english["message"].isascii()


def test_a_chat_in_which_is_written_stays(page: PageClient) -> None:
    chat = page.chat(**ENDLESS)
    id = page.post(f"/chats/{chat}/answers", {"text": "你好", "parent": None})["assistant"]["id"]
    assert page.refused("DELETE", f"/chats/{chat}")[1]["code"] == "answer_running"
    status, error = page.refused("POST", f"/chats/{chat}/answers", {"text": "你好", "parent": id})
    assert (status, error["code"]) == (409, "answer_running")
    page.post(f"/messages/{id}/stop")
    assert page.ended(id, chat)["state"] == "stopped"


@pytest.mark.parametrize(
    "path", ["/chats/none", "/chats/none/messages", "/catalogue/xx", "/chats/none/export"]
)
def test_what_is_not_there(page: PageClient, path: str) -> None:
    assert page.refused("GET", path)[1]["code"] == "not_found"


def test_titles_and_names_are_lines_that_hide_nothing(page: PageClient) -> None:
    """A title or a name cannot turn around what stands beside it."""
    chat = page.chat()
    page.patch(f"/chats/{chat}", {"title": "a\u202eb\nc"})
    title = page.get(f"/chats/{chat}")["title"]
    assert "\u202e" not in title
    assert "\n" not in title
    made = page.post("/attachments", content=b"text", name="x\u202etxt.exe")
    assert "\u202e" not in made["name"]

"""A context that is full: said before sending, refused, or slid, with what is left out by name."""

from __future__ import annotations

import pytest

from .page_client import Events, PageClient

CONTEXT = 256  # of the demo model


def filled(page: PageClient, chat: str, *, turns: int = 8) -> None:
    for number in range(turns):
        page.ask(chat, f"{number}一二三四五六七八九十" * 2, overflow="slide")


def test_said_before_and_refused(page: PageClient) -> None:
    chat = page.chat(max_tokens=20)
    text = "甲乙丙丁" * 20
    page.ask(chat, text)
    leaf = page.get(f"/chats/{chat}")["leaf"]
    measure = page.post(f"/chats/{chat}/measure", {"text": text, "parent": leaf})
    assert measure["context"] == CONTEXT
    assert measure["used"] + measure["tokens"] > CONTEXT - measure["reserve"]
    assert not measure["fits"]
    assert measure["dropped"] == [message["id"] for message in page.messages(chat)]
    n_before = len(page.messages(chat))
    status, error = page.refused("POST", f"/chats/{chat}/answers", {"text": text, "parent": leaf})
    assert (status, error["code"]) == (409, "context_full")
    assert error["details"]["offers"] == ["slide", "shorten", "summary"]
    assert error["details"]["dropped"] == measure["dropped"]
    assert len(page.messages(chat)) == n_before  # the draft is the page's still
    slid = page.ask(chat, text, overflow="slide")
    assert slid["dropped"] == measure["dropped"]
    assert slid["state"] in ("finished", "length")


def test_too_long_by_itself(page: PageClient) -> None:
    text = "天地玄黄" * 200
    measure = page.post("/chats/new/measure", {"text": text})
    cut = measure["cut_text_at"]
    assert 0 < cut < len(text)
    assert page.post("/chats/new/measure", {"text": text[:cut]})["fits"]
    assert not page.post("/chats/new/measure", {"text": text[: cut + 40]})["fits"]
    chat = page.chat(max_tokens=8)
    answer = page.refused("POST", f"/chats/{chat}/answers", {"text": text, "parent": None})[1]
    assert answer["code"] == "context_full"
    failed = page.ask(chat, text, overflow="slide")  # no window can hold it
    assert (failed["state"], failed["error"]["code"]) == ("failed", "context_full")
    assert page.ask(chat, "你好")["dropped"] == [failed["parent"], failed["id"]]


def test_a_chat_that_slides(page: PageClient) -> None:
    """The measure says before what the answer says after; branches below go on from what the model saw."""
    chat = page.chat(max_tokens=12, overflow="slide")
    filled(page, chat)
    text = "一二三四五六七八九十" * 3
    leaf = page.get(f"/chats/{chat}")["leaf"]
    measure = page.post(f"/chats/{chat}/measure", {"text": text, "parent": leaf})
    answer = page.ask(chat, text)
    assert set(measure["dropped"]) <= set(answer["dropped"])
    assert answer["dropped"]
    ids = [message["id"] for message in page.messages(chat)]
    assert answer["dropped"] == [id for id in ids if id in answer["dropped"]]
    assert ids[:2] != answer["dropped"][:2]  # the first turn stays
    assert page.again(chat, answer["id"])["text"] == answer["text"]


def test_an_answer_up_to_the_end_of_the_context(page: PageClient) -> None:
    chat = page.chat(max_tokens=100_000, temperature=1000.0, top_k=0, top_p=1.0, seed=3)
    answer = page.ask(chat, "讲一个故事")
    assert answer["state"] == "length"
    assert answer["timings"]["prompt_tokens"] + answer["timings"]["tokens"] == CONTEXT + 1
    failed = page.more(chat, answer["id"])
    assert (failed["state"], failed["error"]["code"]) == ("failed", "context_full")
    assert failed["text"] == answer["text"]


def test_a_summary_opens_a_new_chat(page: PageClient) -> None:
    chat = page.chat(max_tokens=12, overflow="slide")
    filled(page, chat, turns=4)
    events = Events(page)
    made = page.post(f"/chats/{chat}/summary")
    assert made["id"] != chat
    question, summary = page.messages(made["id"])
    assert "总结" in question["text"]
    ended = events.ended(summary["id"]) if summary["state"] == "writing" else summary
    events.close()
    assert page.get(f"/chats/{made['id']}")["system"] == ended["text"].strip()
    answer = page.ask(made["id"], "你好")
    assert answer["dropped"] == [question["id"], summary["id"]]
    assert answer["timings"]["prompt_tokens"] < 100


@pytest.mark.parametrize("n_turns", [0, 1])
def test_a_system_text(page: PageClient, n_turns: int) -> None:
    """It counts, and a new one is seen from the next answer on."""
    chat = page.chat(max_tokens=4)
    for _ in range(n_turns):
        page.ask(chat, "你好")
    leaf = page.get(f"/chats/{chat}")["leaf"]
    body = {"text": "你好", "parent": leaf}
    before = page.post(f"/chats/{chat}/measure", body)
    page.patch(f"/chats/{chat}", {"system": "你说话很短。"})
    after = page.post(f"/chats/{chat}/measure", body)
    assert after["used"] + after["tokens"] > before["used"] + before["tokens"]
    answer = page.ask(chat, "你好")
    assert answer["timings"]["prompt_tokens"] == after["used"] + after["tokens"]

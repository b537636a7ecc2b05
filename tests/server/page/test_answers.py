"""Answers through the page: streamed in step, regenerated, edited, continued, stopped; with the bits of the engine."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from belle_edge import Belle

from .page_client import ENDLESS, Events, PageClient

QUESTION, SECOND = "12加30等于多少？", "你好"


@pytest.fixture
def events(page: PageClient) -> Iterator[Events]:
    found = Events(page)
    yield found
    found.close()


def test_turns_are_those_of_a_conversation(page: PageClient, demo: Belle) -> None:
    """Answer by answer what `Belle.conversation` says, and each turn computes its own tokens only."""
    chat = page.chat()
    conversation = demo.conversation(max_tokens=12, temperature=0)
    n_before = 0
    for text in (QUESTION, SECOND, "再来一次"):
        expected = conversation.say(text)
        answer = page.ask(chat, text)
        assert answer["text"] == expected.text
        assert answer["state"] == ("finished" if expected.finish_reason != "length" else "length")
        timings = answer["timings"]
        assert timings["prompt_tokens"] == expected.prompt_tokens
        assert timings["cached_tokens"] == expected.prompt_tokens - expected.prefilled_tokens >= n_before
        n_before = timings["cached_tokens"] + 1
    shown = page.messages(chat)
    assert [message["role"] for message in shown] == ["user", "assistant"] * 3
    assert [message["parent"] for message in shown[1:]] == [message["id"] for message in shown[:-1]]
    assert page.get(f"/chats/{chat}")["title"] == QUESTION


def test_windows_are_in_step(page: PageClient) -> None:
    """Two that were there, and one that opens in the middle, show the same blocks; they are the message's."""
    first, second = Events(page), Events(page)
    chat = page.chat(**ENDLESS)
    begun = page.post(f"/chats/{chat}/answers", {"text": QUESTION, "parent": None})
    id = begun["assistant"]["id"]
    assert begun["assistant"]["state"] == "writing"
    first.wait(lambda event: event["type"] == "blocks" and event["message"] == id)
    late = Events(page)
    late.wait(lambda event: event["type"] == "blocks" and event["message"] == id)
    first.wait(lambda event: event["type"] == "progress" and event["phase"] == "writing")
    assert page.get("/chats")["chats"][0]["writing"]
    page.post(f"/messages/{id}/stop")
    ends = [window.ended(id) for window in (first, second, late)]
    assert ends[0] == ends[1] == ends[2]
    assert ends[0]["state"] == "stopped"
    assert ends[0]["blocks"]
    assert first.blocks(id) == second.blocks(id) == late.blocks(id) == ends[0]["blocks"]
    phases = [event["phase"] for event in first.of("progress", id)]
    assert phases[0] == "reading"
    assert set(phases) == {"reading", "writing"}
    for window in (first, second, late):
        window.close()


def test_a_long_prompt_says_how_far_it_is(page: PageClient, events: Events) -> None:
    chat = page.chat(max_tokens=4)
    id = page.post(f"/chats/{chat}/answers", {"text": "一二三四五" * 30, "parent": None})["assistant"]["id"]
    answer = events.ended(id)
    n_prompt = answer["timings"]["prompt_tokens"]
    assert n_prompt > 100
    told = [event for event in events.of("progress", id) if event["phase"] == "reading"]
    assert told
    done = [event["done"] for event in told]
    assert done == sorted(done)
    assert {event["total"] for event in told} == {n_prompt}
    assert max(done) <= n_prompt


def test_a_branch_has_what_its_path_says(page: PageClient, demo: Belle) -> None:
    """An edited first turn and a regenerated answer make siblings; each branch goes on from its own past."""
    chat = page.chat()
    first = page.ask(chat, QUESTION)
    page.ask(chat, SECOND)
    root = page.messages(chat)[0]["id"]
    begun = page.post(f"/chats/{chat}/answers", {"text": "1加1等于多少？", "parent": None})
    edited = page.ended(begun["assistant"]["id"], chat)
    expected = demo.conversation(max_tokens=12, temperature=0)
    assert edited["text"] == expected.say("1加1等于多少？").text
    follow = page.ask(chat, SECOND)
    assert follow["text"] == expected.say(SECOND).text
    assert follow["parent"] != edited["id"]
    shown = page.messages(chat)
    assert [message["id"] for message in shown[:2]] == [begun["user"]["id"], edited["id"]]
    assert shown[0]["siblings"] == [root, begun["user"]["id"]]
    back = page.patch(f"/chats/{chat}", {"leaf": root})  # its newest leaf below is taken
    assert page.messages(chat)[1]["id"] == first["id"]
    assert back["leaf"] == page.messages(chat)[-1]["id"]


def test_again_with_the_same_seed(page: PageClient) -> None:
    """The seed is kept with the answer: a chat with that seed says the same."""
    settings = {**ENDLESS, "max_tokens": 24, "seed": None}
    chat = page.chat(**settings)
    answer = page.ask(chat, QUESTION)
    other = page.again(chat, answer["id"])
    assert other["seed"] != answer["seed"]
    assert other["siblings"] == [answer["id"], other["id"]]
    for wanted in (answer, other):
        same = page.chat(**{**settings, "seed": wanted["seed"]})
        assert page.ask(same, QUESTION)["text"] == wanted["text"]
    assert answer["text"] != other["text"]


@pytest.mark.parametrize("temperature", [0, 1.2])
def test_an_answer_goes_on_as_if_it_had_not_stopped(page: PageClient, temperature: float) -> None:
    """In the same message, from its own tokens, with the random numbers that come next."""
    settings = {"temperature": temperature, "seed": 7, "repetition_penalty": 1.3}
    whole = page.chat(**settings, max_tokens=40)
    expected = page.ask(whole, "讲一个故事")
    chat = page.chat(**settings, max_tokens=8)
    part = page.ask(chat, "讲一个故事")
    assert part["state"] == "length"
    page.patch(f"/chats/{chat}", {"settings": {"max_tokens": 32}})
    more = page.more(chat, part["id"])
    assert more["id"] == part["id"]
    assert more["text"] == expected["text"]
    assert more["text"].startswith(part["text"])
    assert more["state"] == expected["state"]
    assert more["timings"]["tokens"] == expected["timings"]["tokens"]
    assert page.ask(chat, SECOND)["text"] == page.ask(whole, SECOND)["text"]


def test_a_stopped_answer_goes_on(page: PageClient, events: Events) -> None:
    chat = page.chat(**ENDLESS)
    id = page.post(f"/chats/{chat}/answers", {"text": "讲一个故事", "parent": None})["assistant"]["id"]
    events.wait(lambda event: event["type"] == "blocks" and event["message"] == id)
    page.post(f"/messages/{id}/stop")
    stopped = page.ended(id, chat)
    assert stopped["state"] == "stopped"
    begun = page.post(f"/chats/{chat}/answers", {"continue": id})
    assert begun["user"] is None
    page.until(id, chat, lambda message: len(message["text"]) > len(stopped["text"]))
    page.post(f"/messages/{id}/stop")
    assert page.ended(id, chat)["text"].startswith(stopped["text"])


def test_what_cannot_go_on(page: PageClient) -> None:
    chat = page.chat()
    answer = page.ask(chat, QUESTION)
    assert answer["state"] == "finished"
    for body, code in (
        ({"continue": answer["id"]}, "not_continuable"),
        ({"continue": answer["parent"]}, "not_continuable"),
        ({"regenerate": "0" * 32}, "not_found"),
        ({"text": "  "}, "empty_message"),
        ({"text": "a", "unknown": 1}, "unknown_parameter"),
    ):
        _, error = page.refused("POST", f"/chats/{chat}/answers", body)
        assert error["code"] == code
        assert error["message"]
    other = page.chat()
    status, error = page.refused("POST", f"/chats/{other}/answers", {"text": "a", "parent": answer["id"]})
    assert (status, error["code"]) == (404, "not_found")


def test_a_later_request_waits_in_line(start_page: object) -> None:
    _, page = start_page("--max-running", "1")  # type: ignore[operator]
    events = Events(page)
    chats = [page.chat(**ENDLESS), page.chat()]
    ids = [
        page.post(f"/chats/{chat}/answers", {"text": QUESTION, "parent": None})["assistant"]["id"]
        for chat in chats
    ]
    waiting = events.wait(lambda event: event["type"] == "progress" and event["message"] == ids[1])
    assert (waiting["phase"], waiting["place"]) == ("waiting", 1)
    page.post(f"/messages/{ids[0]}/stop")
    assert events.ended(ids[1])["state"] == "finished"
    third = page.post(f"/chats/{chats[0]}/answers", {"regenerate": ids[0]})["assistant"]["id"]
    fourth = page.post(f"/chats/{chats[1]}/answers", {"regenerate": ids[1]})["assistant"]["id"]
    page.post(f"/messages/{fourth}/stop")  # while it waits
    assert events.ended(fourth)["state"] == "stopped"
    page.post(f"/messages/{third}/stop")
    assert events.ended(third)["state"] == "stopped"
    events.close()


def test_hostile_text_comes_as_text(page: PageClient) -> None:
    """Questions are shown as they are; what answers become passed the sanitizer of `rendering`."""
    chat = page.chat(max_tokens=3)
    text = "<script>alert(1)</script>\x00\u202e"
    shown = page.ask(chat, text)
    user = page.messages(chat)[0]
    assert user["text"].startswith("<script>")
    assert "blocks" not in user
    assert not re.search("<script", "".join(shown["blocks"]))

"""Full-text search, Chinese without spaces included; what people type is never a query language."""

from __future__ import annotations

import pytest

pytest.importorskip("sqlalchemy", reason="pip install '.[server]' brings it")

from belle_edge.history import History, Hit


def found(history: History, text: str) -> list[str]:
    return ["".join(part for part, _ in hit.parts) for hit in history.search(text)]


@pytest.fixture
def texts(history: History) -> History:
    chat = history.new_chat(title="关于天气的问题")
    for text in (
        "今天北京的天气怎么样",
        "The Weather in Beijing",
        "100% sure_thing",
        'a "quoted" word',
        "x OR y NEAR z*",
    ):
        history.add_message(chat.id, None, "user", text)
    return history


@pytest.mark.parametrize(
    ("text", "hits"),
    [
        ("天气", ["关于天气的问题", "今天北京的天气怎么样"]),
        ("北京的天气", ["今天北京的天气怎么样"]),
        ("天", ["关于天气的问题", "今天北京的天气怎么样"]),
        ("怎么样 北京", ["今天北京的天气怎么样"]),
        ("weather", ["The Weather in Beijing"]),
        ("beijing weather", ["The Weather in Beijing"]),
        ("eath", ["The Weather in Beijing"]),
        ("0%", ["100% sure_thing"]),
        ("_t", ["100% sure_thing"]),
        ("e_t", ["100% sure_thing"]),
        ('"quoted"', ['a "quoted" word']),
        ("NEAR", ["x OR y NEAR z*"]),
        ("z*", ["x OR y NEAR z*"]),
        ("weather OR", []),
        ("天津", []),
        ("", []),
        ("  \t ", []),
        ("text:weather", []),
        ("' OR 1=1 --", []),
        ("\x00\x00", []),
        ("weather\x00", ["The Weather in Beijing"]),
        ("\ud800weather", []),
        ("(((", []),
    ],
)
def test_searches(texts: History, text: str, hits: list[str]) -> None:
    assert found(texts, text) == hits


def test_what_is_highlighted(texts: History) -> None:
    title, message = texts.search("天气")
    assert title == Hit(
        title.chat, "关于天气的问题", None, [("关于", False), ("天气", True), ("的问题", False)]
    )
    assert message.parts == [("今天北京的", False), ("天气", True), ("怎么样", False)]
    assert texts.message(message.message or "").text == "今天北京的天气怎么样"


def test_a_long_text_is_shown_around_the_hit(history: History) -> None:
    chat = history.new_chat()
    history.add_message(chat.id, None, "user", "begin " * 100 + "needle " + "end " * 100)
    (hit,) = history.search("NEEDLE")
    parts = list(hit.parts)
    assert parts[0] == parts[-1] == ("…", False)
    assert ("needle", True) in parts
    assert len("".join(text for text, _ in parts)) < 200


def test_the_index_follows_every_change(history: History) -> None:
    chat = history.new_chat(title="first name")
    history.change_chat(chat.id, title="second name")
    assert found(history, "first") == []
    assert found(history, "second") == ["second name"]
    answer = history.add_message(chat.id, None, "assistant", "", state="writing")
    history.write_answer(answer.id, "alpha beta", [1])
    assert found(history, "alpha") == found(history, "al") == []  # not before it is done
    history.finish_answer(answer.id, "finished")
    assert found(history, "alpha") == found(history, "al") == ["alpha beta"]
    history.write_answer(answer.id, "alpha gamma", [1])
    assert found(history, "alpha") == []
    history.finish_answer(answer.id, "stopped", text="alpha gamma delta")
    assert found(history, "alpha") == ["alpha gamma delta"]
    assert found(history, "beta") == []


def test_limits(history: History) -> None:
    chat = history.new_chat(title="word")
    for number in range(5):
        history.add_message(chat.id, None, "user", f"word {number}")
    assert [len(history.search("word", limit)) for limit in (0, 1, 3, 50)] == [0, 1, 3, 6]
    assert found(history, "word")[:3] == ["word", "word 4", "word 3"]

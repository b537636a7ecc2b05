"""The forms of records, and what is said about others."""

from __future__ import annotations

from typing import Any

import pytest

from belle_edge.convert.moments.data_records import record_text

TURN = ({"role": "user", "content": "问"}, {"role": "assistant", "content": "答"})


@pytest.mark.parametrize(
    "record",
    [
        {"instruction": "问", "input": "", "output": "答", "id": 3},
        {"instruction": "问", "input": None, "output": "答"},
        {"instruction": "问", "output": "答"},
        {"prompt": "问", "completion": "答"},
        {
            "messages": [
                {"role": "user", "content": "问"},
                {"role": "assistant", "content": "答", "name": "x"},
            ]
        },
        {"id": "1", "conversations": [{"from": "human", "value": "问"}, {"from": "gpt", "value": "答"}]},
        {"conversations": [{"from": "Human", "value": "问"}, {"from": "assistant", "value": "答"}]},
    ],
)
def test_one_turn_in_each_form(record: dict[str, Any]) -> None:
    assert record_text(record).messages == TURN


def test_an_input_follows_its_instruction() -> None:
    text = record_text({"instruction": "翻译", "input": "Hello", "output": "你好"})
    assert text.messages[0]["content"] == "翻译\nHello"
    assert record_text({"instruction": "", "input": "Hello", "output": "x"}).messages[0]["content"] == "Hello"


def test_plain_text() -> None:
    assert record_text({"text": "一段文字"}).text == "一段文字"
    assert record_text("一段文字").text == "一段文字"


def test_a_system_message_stays() -> None:
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    assert record_text({"messages": messages}).messages == tuple(messages)


@pytest.mark.parametrize("record", [{"text": " \n"}, {"instruction": "", "output": " "}, ""])
def test_nothing_in_it(record: Any) -> None:
    assert record_text(record).is_empty


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"question": "a", "answer": "b"}, "found 'question', 'answer'"),
        ({"instruction": "a"}, r"expected \"instruction\" with \"output\", .*; found 'instruction'"),
        ({}, "found no field at all"),
        ({f"f{i}": i for i in range(9)}, "'f5' and 3 more"),
        (17, "expected an object with .*; found 17"),
        ([1], r"found \[1\]"),
        ({"instruction": 1, "output": "b"}, 'expected a text under "instruction", found 1'),
        ({"instruction": "a", "input": [], "output": "b"}, 'expected a text under "input"'),
        ({"instruction": "a", "output": None}, 'expected a text under "output", found None'),
        ({"text": {}}, 'expected a text under "text"'),
        ({"messages": []}, 'expected a list of messages under "messages"'),
        ({"conversations": "hi"}, 'expected a list of messages under "conversations"'),
        ({"messages": ["hi"]}, "message 1: expected an object, found 'hi'"),
        (
            {"messages": [TURN[0], {"role": "user"}]},
            'message 2: expected "role" and "content".*found \'role\'',
        ),
        (
            {"messages": [{"role": "tool", "content": "x"}]},
            "message 1: expected a role of user, .*; found 'tool'",
        ),
        ({"messages": [{"content": "x"}]}, 'message 1: expected "role"'),
    ],
)
def test_what_is_missing_or_of_another_kind(record: Any, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        record_text(record)

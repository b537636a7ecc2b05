"""Which question a record asks, and what is refused rather than ignored."""

from __future__ import annotations

from typing import Any

import pytest

from belle_edge.batch.record_prompts import PromptRule


@pytest.mark.parametrize(
    ("rule", "fields", "item"),
    [
        (PromptRule(), {"prompt": "a", "id": 1}, {"prompt": "a"}),
        (PromptRule(), {"instruction": "a", "input": "b", "output": "c"}, {"prompt": "a\nb"}),
        (PromptRule(), {"instruction": "a", "input": ""}, {"prompt": "a"}),
        (PromptRule(), {"text": "a", "seed": 3, "stop": "x"}, {"prompt": "a", "seed": 3, "stop": "x"}),
        (PromptRule(with_settings=False), {"text": "a", "seed": "3"}, {"prompt": "a"}),
        (PromptRule(field="choice"), {"choice": "a", "seed": 3}, {"prompt": "a", "seed": 3}),
        (PromptRule(field="turns"), {"turns": [{"role": "user", "content": "a"}]},
         {"messages": [{"role": "user", "content": "a"}]}),
        (PromptRule(template="{{{a}}}: {b} {c}"), {"a": "x", "b": 2, "c": [1]}, {"prompt": "{x}: 2 [1]"}),
        (PromptRule(template="{a}"), {"a": "{b}", "b": "no"}, {"prompt": "{b}"}),
    ],
)  # fmt: skip
def test_items(rule: PromptRule, fields: dict[str, Any], item: dict[str, Any]) -> None:
    assert rule.item(fields) == item


@pytest.mark.parametrize(
    ("rule", "fields", "problem"),
    [
        (PromptRule(), {"question": "a"}, "expected one of the fields"),
        (PromptRule(), {"prompt": 3}, "expected a text"),
        (PromptRule(), {"prompt": "a", "answer": "b"}, "field of the result"),
        (PromptRule(), {"prompt": "a", "temprature": 1}, 'did you mean "temperature"'),
        (PromptRule(), {"prompt": "a", "system": "b"}, "system message"),
        (PromptRule(field="a"), {"b": "c"}, 'no field "a"'),
        (PromptRule(template="{a}{b}"), {"a": "c"}, 'no field "b"'),
    ],
)
def test_refusals(rule: PromptRule, fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        rule.item(fields)


def test_rules_that_are_none() -> None:
    with pytest.raises(ValueError, match="in braces"):
        PromptRule(template="translate {{}}")
    with pytest.raises(ValueError, match="one of them"):
        PromptRule(field="a", template="{a}")

"""Templates render to the text that transformers makes of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from belle_edge.text.chat_template import extensions
from belle_edge.text.prompts import FAMILIES, render

from .published_templates import CONVERSATIONS, TEMPLATES, TOOLS, TURNS, USER

pytestmark = pytest.mark.slow  # loads transformers

ALL = {**TEMPLATES, **{f"family {name}": family.chat_template for name, family in FAMILIES.items()}}
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


def by_transformers(template: str, messages: list[dict[str, Any]], **values: Any) -> str:
    """Its own rendering, or "refused" where the template raises something."""
    chat_templates = pytest.importorskip("transformers.utils.chat_template_utils")
    try:
        texts, _ = chat_templates.render_jinja_template([messages], chat_template=template, **values)
    except Exception as error:
        return f"refused {str(error)[:10]}"
    return str(texts[0])


def by_us(template: str, messages: list[dict[str, Any]], **values: Any) -> str:
    try:
        return render(template, messages, **values)
    except ValueError:
        return "refused"


@pytest.mark.parametrize("prompt", [True, False])
@pytest.mark.parametrize("tools", [None, TOOLS], ids=["plain", "tools"])
@pytest.mark.parametrize("conversation", CONVERSATIONS)
@pytest.mark.parametrize("name", ALL)
def test_the_same_text(
    name: str, conversation: str, tools: list[dict[str, Any]] | None, prompt: bool
) -> None:
    messages = CONVERSATIONS[conversation]
    expected = by_transformers(ALL[name], messages, tools=tools, add_generation_prompt=prompt, **TOKENS)
    found = by_us(ALL[name], messages, tools=tools, add_generation_prompt=prompt, **TOKENS)
    assert found == expected
    assert found != "refused"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ {'b': '<é 你>', 'a': 1} | tojson }}", '{"b": "<é 你>", "a": 1}'),
        ("{{ 'é<' | tojson(ensure_ascii=true) }}", '"\\u00e9<"'),
        ("{{ [1, {'a': 2}] | tojson(indent=1, separators=(',', ':')) }}", '[\n 1,\n {\n  "a":2\n }\n]'),
        ("{{ {'b': 1, 'a': 2} | tojson(sort_keys=true) }}", '{"a": 2, "b": 1}'),
        ("{{ tools is none }} {{ tools is defined }} {{ documents is none }}", "True True True"),
        (
            "{% for i in range(9) %}{% if i == 1 %}{% continue %}{% endif %}"
            "{% if i > 3 %}{% break %}{% endif %}{{ i }}{% endfor %}",
            "023",
        ),
        ("a{% generation %} {{ 'b' }}\n{% endgeneration %}c", "a b\nc"),
        ("  {% if true %}\n x\n  {% endif %}\ny", " x\ny"),
        ("{{ dict(a=1).a }} {{ dict is mapping }}", "1 False"),
    ],
)
def test_texts_worked_out_by_hand(template: str, expected: str) -> None:
    assert render(template, USER) == expected
    assert by_transformers(template, USER) == expected


def test_the_date_of_today(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Clock:
            return cls(2024, 7, 26, 12, 30)

    monkeypatch.setattr(extensions, "datetime", Clock)
    assert render("{{ strftime_now('%d %b %Y, %H:%M') }}", USER) == "26 Jul 2024, 12:30"
    assert "Today Date: 26 Jul 2024\n\n" in render(TEMPLATES["llama-3"], TURNS, **TOKENS)


def test_a_rejection_keeps_the_templates_words() -> None:
    twice = [*USER, *USER]
    with pytest.raises(
        ValueError, match=r"rejects these messages at line \d+: Conversation roles must alternate"
    ):
        render(TEMPLATES["llama-2"], twice, **TOKENS)
    assert by_transformers(TEMPLATES["llama-2"], twice, **TOKENS) == "refused Conversati"

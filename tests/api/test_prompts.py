"""The prompt families, character by character, and templates that misbehave."""

from __future__ import annotations

import pytest

from belle_edge.text.prompts import FAMILIES, render

CHAT = [
    {"role": "user", "content": "Q1"},
    {"role": "assistant", "content": "A1"},
    {"role": "user", "content": "Q2"},
]


@pytest.mark.parametrize(
    ("family", "one_turn", "two_turns"),
    [
        ("belle", "Human: Q1\n\nAssistant:", "Human: Q1\n\nAssistant:A1\nHuman: Q2\n\nAssistant:"),
        (
            "belle-llama",
            "Human: Q1 \n\nAssistant: ",
            "Human: Q1 \n\nAssistant: A1\nHuman: Q2 \n\nAssistant: ",
        ),
        ("belle-ext", "Human: Q1\n\nBelle: ", "Human: Q1\n\nBelle: A1\n\nHuman: Q2\n\nBelle: "),
        (
            "belle-v2",
            "Human: \nQ1\n\nAssistant: \n",
            "Human: \nQ1\n\nAssistant: \nA1</s>Human: \nQ2\n\nAssistant: \n",
        ),
    ],
)
def test_each_family_renders_its_training_text(family: str, one_turn: str, two_turns: str) -> None:
    template = FAMILIES[family].chat_template
    assert render(template, CHAT[:1], eos_token="</s>") == one_turn
    assert render(template, CHAT, eos_token="</s>") == two_turns
    without_prompt = render(template, CHAT[:1], eos_token="</s>", add_generation_prompt=False)
    assert one_turn.startswith(without_prompt)
    assert without_prompt.rstrip().endswith("Q1")


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_system_text_opens_the_first_turn(family: str) -> None:
    template = FAMILIES[family].chat_template
    system = {"role": "system", "content": "SYS"}
    expected = render(template, [{"role": "user", "content": "SYS\nQ1"}, *CHAT[1:]], eos_token="</s>")
    assert render(template, [system, *CHAT], eos_token="</s>") == expected


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_whitespace_settings_do_not_matter(family: str) -> None:
    from jinja2 import Environment

    template = FAMILIES[family].chat_template
    plain = Environment(trim_blocks=False, lstrip_blocks=False).from_string(template)
    values = {"messages": CHAT, "add_generation_prompt": True, "bos_token": "<s>", "eos_token": "</s>"}
    assert plain.render(**values) == render(template, CHAT, bos_token="<s>", eos_token="</s>")


def test_published_presets_and_stops() -> None:
    def values(name: str) -> tuple[float, ...]:
        preset = FAMILIES[name].preset
        return tuple(preset[key] for key in ("temperature", "top_k", "top_p", "repetition_penalty"))

    assert values("belle") == (0.35, 30, 0.85, 1.2)
    assert values("belle-llama") == (0.5, 30, 0.85, 1.0)
    assert values("belle-ext") == (0.5, 30, 0.85, 1.2)
    assert values("belle-v2") == (0.9, 30, 0.6, 1.2)
    assert [FAMILIES[name].stop_strings for name in ("belle", "belle-llama", "belle-ext")] == [
        ("\nHuman:",)
    ] * 3
    assert FAMILIES["belle-v2"].stop_strings == ()
    assert FAMILIES["belle-v2"].add_bos is False


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% if %}", r"broken at line 1"),
        ("{{ nothing.at.all }}", "undefined"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ messages.append(1) }}", "unsafe"),
        ("{% for i in range(10000000) %}{% endfor %}", "Range too big"),
        ("{{ raise_exception('only user messages') }}", "only user messages"),
    ],
)
def test_a_broken_template_is_a_clear_error(template: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        render(template, CHAT)


@pytest.mark.parametrize(
    "messages", [[], [{"role": "user"}], [{"content": "x"}], [{"role": "user", "content": 3}]]
)
def test_malformed_messages_are_refused(messages: list[dict[str, str]]) -> None:
    with pytest.raises(ValueError, match=r"\[messages\]"):
        render(FAMILIES["belle"].chat_template, messages)


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(ValueError, match="system"):
        render(FAMILIES["belle"].chat_template, [{"role": "tool", "content": "x"}])


def test_a_template_that_asks_for_too_much_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="makes a text of more than"):
        render("{{ 'a' * 10 ** 15 }}", [{"role": "user", "content": "x"}])

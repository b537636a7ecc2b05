"""Conversations: token ids as history, a cache that is never computed twice, turns that can be taken back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from belle_edge import Belle, Conversation
from belle_edge.text.chat_format import ChatFormat
from belle_edge.text.prompts import FAMILIES

from .turns import QUESTIONS, assert_turn_equals_its_parts, cached_tokens, last_answer_anew


@pytest.fixture(params=sorted(FAMILIES))
def stories_chat(request: pytest.FixtureRequest, stories: Belle) -> Iterator[Belle]:
    """The LLaMA model under each family's template."""
    plain, family = stories.chat_format, FAMILIES[request.param]
    stories.chat_format = ChatFormat(family.chat_template, family.name, family.stop_strings, family.preset)
    yield stories
    stories.chat_format = plain


def test_twelve_turns_equal_their_parts(tiny_zh: Belle) -> None:
    conversation = tiny_zh.conversation(system="你是一个助手。", temperature=0, max_tokens=24)
    for text in QUESTIONS:
        assert_turn_equals_its_parts(tiny_zh, conversation, text, 24)
    assert len(conversation.messages) == 25
    assert conversation.messages[0] == {"role": "system", "content": "你是一个助手。"}


@pytest.mark.slow
def test_twelve_turns_on_the_other_architecture(stories_chat: Belle) -> None:
    conversation = stories_chat.conversation(temperature=0, max_tokens=10)
    for index in range(12):
        assert_turn_equals_its_parts(stories_chat, conversation, f"Tell {index}", 10)


def test_the_history_is_the_text_that_the_template_renders(stories_chat: Belle) -> None:
    """SentencePiece: turns encoded one by one are the ids of the whole text, template and answers alike."""
    conversation = stories_chat.conversation(system="Be kind.", temperature=0, max_tokens=12, stop=["."])
    for text in ("Once upon", " a time", "x\n"):
        conversation.say(text)
    messages = conversation.messages
    prompt = conversation.token_ids[: conversation._history.turns[-1].answer_begin]
    rendered = stories_chat.chat_format.encode(stories_chat.tokenizer, messages[:-1])
    assert stories_chat.detokenize(prompt) == stories_chat.detokenize(rendered)
    assert prompt.count(2) == rendered.count(2)  # EOS between turns in belle-v2, nowhere else
    assert prompt.count(1) == rendered.count(1)


def test_a_stop_string_leaves_the_cache(tiny_zh: Belle) -> None:
    whole = tiny_zh.generate(QUESTIONS[0], temperature=0, max_tokens=30)
    stop = whole.text[4:6]
    conversation = tiny_zh.conversation(temperature=0, max_tokens=30, stop=[stop])
    result = conversation.say(QUESTIONS[0])
    assert result.finish_reason == "stop_string"
    turn = conversation._history.turns[-1]
    assert tiny_zh.detokenize(conversation.token_ids[turn.answer_begin :]) == result.text == turn.answer
    assert stop not in tiny_zh.detokenize(conversation.token_ids[turn.answer_begin :])
    assert cached_tokens(conversation) <= len(conversation.token_ids)
    assert_next_turn_equals_its_parts(tiny_zh, conversation)


def assert_next_turn_equals_its_parts(model: Belle, conversation: Conversation) -> None:
    stops = [*model.chat_format.stop_strings, "\nHuman:"]
    result = conversation.say("继续", stop=["\nHuman:"])
    assert last_answer_anew(model, conversation, 30, stop=stops).token_ids == result.token_ids


@pytest.mark.parametrize("stop", ["Human", "uman", "ma", "你", "an:"])
def test_a_stop_string_inside_a_token(tiny: Belle, stop: str) -> None:
    """The token that a stop string cuts in two gives way to the tokens of its first part."""
    human = tiny.tokenizer.vocabulary.tokens.index("Human")
    conversation = tiny.conversation(max_tokens=6, temperature=0, logit_bias={human: 1000.0}, stop=[stop])
    result = conversation.say("q")
    turn = conversation._history.turns[-1]
    kept = tiny.tokenizer.decode(conversation.token_ids[turn.answer_begin :])
    if stop in ("Human", "uman", "ma"):
        assert result.finish_reason == "stop_string"
        assert result.text == "Human"[: "Human".index(stop)]
    assert kept == result.text
    again = conversation.say("r")
    prompt = conversation.token_ids[: conversation._history.turns[-1].answer_begin]
    once = tiny.generate(
        prompt, raw=True, temperature=0, max_tokens=6, logit_bias={human: 1000.0}, stop=[stop]
    )
    assert once.token_ids == again.token_ids


def test_regenerate_undo_reset(tiny_zh: Belle) -> None:
    conversation = tiny_zh.conversation(temperature=0, max_tokens=12)
    first = conversation.say(QUESTIONS[0])
    ids = conversation.token_ids
    second = conversation.say(QUESTIONS[1])
    again = conversation.regenerate().finish()
    assert (again.text, again.prefilled_tokens) == (second.text, 1)
    other = conversation.regenerate(temperature=2.0, seed=4, top_k=0, top_p=1.0).finish()
    assert other.text != second.text
    assert conversation.messages[-1]["content"] == other.text
    assert len(conversation.messages) == 4
    assert conversation.undo() == QUESTIONS[1]
    assert conversation.token_ids == ids
    assert conversation.say(QUESTIONS[1]).text == second.text
    conversation.undo()
    conversation.undo()
    assert conversation.messages == []
    assert conversation.say(QUESTIONS[0]).text == first.text
    conversation.reset(system="说英语。")
    assert conversation.messages == [{"role": "system", "content": "说英语。"}]
    conversation.reset()
    assert conversation.system == "说英语。"
    conversation.reset(system="")
    assert conversation.system is None
    for impossible in (conversation.undo, conversation.regenerate):
        with pytest.raises(ValueError, match="nothing was said"):
            impossible()


def test_seeds_count_the_answers(tiny_zh: Belle) -> None:
    settings: dict[str, Any] = {"seed": 3, "temperature": 5.0, "top_k": 0, "top_p": 1.0, "max_tokens": 12}

    def answers() -> list[str]:
        conversation = tiny_zh.conversation(**settings)
        first = conversation.say("你好").text
        return [first, conversation.regenerate().finish().text, conversation.say("你好").text]

    assert answers() == answers()
    first, second, _ = answers()
    assert first != second
    assert first == tiny_zh.generate("你好", **settings).text


def test_a_chat_is_the_first_turn(tiny_zh: Belle) -> None:
    messages = [{"role": "system", "content": "简短。"}, {"role": "user", "content": "你好"}]
    said = tiny_zh.conversation(system="简短。", temperature=0, max_tokens=15).say("你好")
    assert tiny_zh.chat(messages, temperature=0, max_tokens=15).token_ids == said.token_ids
    stream = tiny_zh.stream_chat(messages, temperature=0, max_tokens=15)
    assert "".join(stream) == stream.result.text == said.text


# ---- refusals


def test_arguments_are_checked(tiny_zh: Belle, stories: Belle) -> None:
    with pytest.raises(ValueError, match="no chat template"):
        stories.conversation()
    for arguments, message in (
        ({"overflow": "wrap"}, "overflow"),
        ({"overflow": "slide", "n_keep": 2048}, "n_keep"),
        ({"temperature": -1}, "temperature"),
        ({"system": 3}, "system"),
        ({"temprature": 1}, "unknown setting"),
    ):
        with pytest.raises(ValueError, match=message):
            tiny_zh.conversation(**arguments)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="message of text"):
        tiny_zh.conversation().send(3)  # type: ignore[arg-type]


def test_a_template_that_refuses_the_system_role(tiny_zh: Belle) -> None:
    plain = tiny_zh.chat_format
    try:
        tiny_zh.chat_format = ChatFormat("{{ raise_exception('no system') }}")
        with pytest.raises(ValueError, match="no system"):
            tiny_zh.conversation(system="x")
    finally:
        tiny_zh.chat_format = plain


def test_settings_change_from_the_next_answer_on(tiny_zh: Belle) -> None:
    conversation = tiny_zh.conversation(temperature=0, max_tokens=12)
    first = conversation.say(QUESTIONS[0])
    conversation.configure(max_tokens=3, top_k=7)
    assert (conversation.max_tokens, conversation.settings.top_k) == (3, 7)
    assert conversation.regenerate().finish().token_ids == first.token_ids[:3]
    conversation.configure(temperature=None, top_k=None)
    assert conversation.settings == tiny_zh.conversation().settings
    for settings in ({"temperature": -1.0}, {"temprature": 1.0}, {"temprature": None}, {"max_tokens": 0}):
        with pytest.raises(ValueError, match=r"temperature|temprature|max_tokens"):
            conversation.configure(**settings)  # type: ignore[arg-type]
    assert (conversation.max_tokens, conversation.settings) == (3, tiny_zh.conversation().settings)


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        ([], "at least one"),
        (["assistant"], "first message"),
        (["system"], "first message"),
        (["user", "assistant"], "last message"),
        (["user", "user"], "in a row"),
        (["user", "system", "user"], "has to be the first"),
        (["user", "assistant", "tool"], "'tool'"),
    ],
)
def test_messages_are_a_dialogue(tiny_zh: Belle, roles: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny_zh.chat([{"role": role, "content": "x"} for role in roles])


def test_messages_are_dicts(tiny_zh: Belle) -> None:
    for bad in ("text", ["text"], {"role": "user", "content": "x"}, [{"role": "user", "content": None}]):
        with pytest.raises(ValueError, match=r"\[messages\]"):
            tiny_zh.chat(bad)  # type: ignore[arg-type]

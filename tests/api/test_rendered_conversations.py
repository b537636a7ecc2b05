"""Templates that show earlier turns in their own way: rendered anew, the cache kept up to the first difference."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from belle_edge import Belle, Conversation
from belle_edge.text.chat_format import ChatFormat

from .turns import cached_tokens, last_answer_anew

LLAMA_2 = (
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ bos_token + '[INST] ' + m['content'].strip() + ' [/INST]' }}"
    "{% else %}{{ ' ' + m['content'].strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)
VICUNA = (
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ 'USER: ' + m['content'] + ' ' }}"
    "{% else %}{{ 'ASSISTANT: ' + m['content'] + eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
PHI_3 = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
TRIMMED = (
    "{% for m in messages %}{{ m['role'] + ': ' + m['content'] | trim + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}"
)
SHORTENED = (  # as templates that drop an answer's reasoning do: what stands before its second "e" or "，" goes
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ 'Q: ' + m['content'] + '\n' }}"
    "{% else %}{{ 'A: ' + m['content'].split('e')[-1].split('，')[-1] + '\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'A: ' }}{% endif %}"
)
COUNTED = "{{ messages | length }}{% for m in messages %}{{ '/' + m['content'] }}{% endfor %}"
LAST_ONLY = "{{ 'Q: ' + messages[-1]['content'] + ' A:' }}"
APPENDING = {"llama-2": LLAMA_2, "vicuna": VICUNA, "phi-3": PHI_3, "trimmed": TRIMMED}
REWRITING = {"shortened": SHORTENED, "counted": COUNTED, "last-only": LAST_ONLY}
QUESTIONS = ["Once upon", "你好", "x\n", "Tell me more", "1+1等于几？"]


@pytest.fixture(params=["stories", "tiny_zh"])
def model(request: pytest.FixtureRequest) -> Iterator[Belle]:
    """SentencePiece and byte-level."""
    found: Belle = request.getfixturevalue(request.param)
    plain = found.chat_format
    yield found
    found.chat_format = plain


def units(model: Belle, ids: list[int] | tuple[int, ...]) -> list[bytes | int]:
    """Ids as text, and control tokens by their ids."""
    found: list[bytes | int] = []
    for token_id in ids:
        if model.tokenizer.is_special(token_id):
            found.append(token_id)
        elif found and isinstance(found[-1], bytes):
            found[-1] += model.tokenizer.token_bytes(token_id)
        else:
            found.append(model.tokenizer.token_bytes(token_id))
    return found


def assert_last_prompt_is_what_the_template_renders(model: Belle, conversation: Conversation) -> None:
    """With answers as they are, or without the space before them that is the template's."""
    prompt = units(model, conversation.token_ids[: conversation._history.turns[-1].answer_begin])
    messages = conversation.messages[:-1]
    bare = [
        {**m, "content": m["content"].removeprefix(" ")} if m["role"] == "assistant" else m for m in messages
    ]
    rendered = [units(model, model.chat_format.encode(model.tokenizer, each)) for each in (messages, bare)]
    assert prompt in rendered


def flat(model: Belle, ids: tuple[int, ...]) -> list[int]:
    """Bytes of text, and control tokens as negative numbers."""
    return [
        value
        for unit in units(model, ids)
        for value in ([-1 - unit] if isinstance(unit, int) else list(unit))
    ]


def n_shared(first: tuple[int, ...], second: tuple[int, ...]) -> int:
    """The length of the ids that both begin with."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((index for index, (one, other) in pairs if one != other), min(len(first), len(second)))


def allows(model: Belle, conversation: Conversation, before: tuple[int, ...]) -> bool:
    """Whether the last prompt begins with the text of all that was said."""
    past = flat(model, before)
    return flat(model, conversation.token_ids)[: len(past)] == past


@pytest.mark.parametrize("name", [*APPENDING, *REWRITING])
def test_each_turn_is_the_templates_text_and_equals_its_parts(model: Belle, name: str) -> None:
    model.chat_format = ChatFormat({**APPENDING, **REWRITING}[name])
    conversation = model.conversation(temperature=0, max_tokens=8)
    for text in QUESTIONS:
        before, n_cached = conversation.token_ids, cached_tokens(conversation)
        result = conversation.say(text)
        assert_last_prompt_is_what_the_template_renders(model, conversation)
        turn = conversation._history.turns[-1]
        n_same = n_shared(before, conversation.token_ids)
        assert result.prefilled_tokens <= turn.answer_begin - min(n_cached, turn.begin)
        assert turn.begin <= n_same, "what is kept was there before"
        if allows(model, conversation, before):
            assert n_same == len(before), "the model's own ids stay"
        elif name == "phi-3":
            raise AssertionError("Phi-3's form only adds to what was said")
        anew = last_answer_anew(model, conversation, 8)
        assert (anew.token_ids, anew.text) == (result.token_ids, result.text)
        assert conversation.messages[-2:] == [
            {"role": "user", "content": text},
            {"role": "assistant", "content": result.text},
        ]


@pytest.mark.parametrize("name", ["llama-2", "vicuna"])
def test_an_answer_that_begins_with_the_templates_space_is_never_computed_again(
    stories: Belle, name: str
) -> None:
    """As models write that were trained with these templates."""
    plain, stories.chat_format = stories.chat_format, ChatFormat(APPENDING[name])
    try:
        the = stories.tokenizer.vocabulary.tokens.index("▁the")
        conversation = stories.conversation(temperature=0, max_tokens=3, logit_bias={the: 1000.0})
        for text in QUESTIONS:
            before, n_cached = conversation.token_ids, cached_tokens(conversation)
            result = conversation.say(text)
            assert result.text == " the the the"
            assert conversation.token_ids[: len(before)] == before
            assert result.prefilled_tokens == conversation._history.turns[-1].answer_begin - n_cached
            assert_last_prompt_is_what_the_template_renders(stories, conversation)
            assert not any(turn.rewritten for turn in conversation._history.turns)
    finally:
        stories.chat_format = plain


@pytest.mark.slow
@pytest.mark.parametrize("name", [*APPENDING, *REWRITING])
def test_turns_are_taken_back_answered_again_and_saved(model: Belle, name: str, tmp_path: Path) -> None:
    model.chat_format = ChatFormat({**APPENDING, **REWRITING}[name])
    settings = {"temperature": 0, "max_tokens": 8}
    conversation = model.conversation(system=None, **settings)
    answers = [conversation.say(text).text for text in QUESTIONS[:3]]
    again = conversation.regenerate().finish()
    assert (again.text, again.prefilled_tokens) == (answers[2], 1)
    conversation.undo()
    assert conversation.regenerate().finish().text == answers[1]
    assert conversation.say(QUESTIONS[2]).text == answers[2]
    for cache in (True, False):
        conversation.save(tmp_path / "chat", cache=cache)
        loaded = model.load_conversation(tmp_path / "chat", **settings)
        assert loaded._history.turns == conversation._history.turns
        first = loaded.say(QUESTIONS[3])
        assert_last_prompt_is_what_the_template_renders(model, loaded)
        other = loaded.regenerate().finish()
        assert (other.token_ids, other.text) == (first.token_ids, first.text)
        if cache:
            expected = first
        assert first.token_ids == expected.token_ids
    conversation.undo()
    conversation.undo()
    assert conversation.say(QUESTIONS[1]).text == answers[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*APPENDING, *REWRITING])
def test_a_full_context_drops_whole_turns(tiny: Belle, name: str) -> None:
    plain, tiny.chat_format = tiny.chat_format, ChatFormat({**APPENDING, **REWRITING}[name])
    try:
        conversation = tiny.conversation(overflow="slide", n_keep=70, max_tokens=6, temperature=0, banned=[2])
        for index in range(20):
            result = conversation.say(f"q{index}")
            turns = conversation._history.turns
            if name == "phi-3":  # the turns that are left keep their place in the cache
                assert result.prefilled_tokens <= turns[-1].answer_begin - turns[-1].begin + 1
            assert len(conversation.token_ids) <= 128
            standing = [turn for turn in turns if turn.stands]
            assert standing[-1] == turns[-1]
            if name not in ("last-only",):
                assert standing[0] == turns[0]
                prompt = tiny.detokenize(conversation.token_ids[: turns[-1].answer_begin])
                assert all(turn.user in prompt for turn in standing)
        assert len(conversation.messages) == 40
        assert (conversation.dropped_tokens > 0) == (name != "last-only")
        assert (len(standing) < 20) == (name != "last-only")
        with pytest.raises(ValueError, match="128"):
            conversation.send("x" * 200)
        strict = tiny.conversation(max_tokens=6, temperature=0, banned=[2])
        if name != "last-only":
            while strict.say("q").prompt_tokens < 70:
                pass
            with pytest.raises(ValueError, match="overflow='slide'"):
                strict.say("q" * 60)
            assert strict.undo() == "q"
            strict.say("q")
    finally:
        tiny.chat_format = plain


def test_an_answer_longer_than_the_context_leaves_room_for_the_next_turn(tiny: Belle) -> None:
    plain, tiny.chat_format = tiny.chat_format, ChatFormat(PHI_3)
    try:
        conversation = tiny.conversation(overflow="slide", max_tokens=300, temperature=0, banned=[2])
        conversation.say("one", max_tokens=5)
        conversation.say("two")
        assert len(conversation.token_ids) <= 129
        conversation.say("three", max_tokens=5)
        assert "three" in tiny.detokenize(conversation.token_ids)
        assert len(conversation.messages) == 6
    finally:
        tiny.chat_format = plain

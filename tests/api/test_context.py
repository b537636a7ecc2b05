"""The end of the context: an answer ends there, or the beginning stays and the window slides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from belle_edge import Belle
from belle_edge.generation.answer import Window, moved
from belle_edge.generation.conversation_file import Turn

from .tiny_models import write_tiny_model


@pytest.mark.parametrize(
    ("n_keep", "length", "turn_starts", "expected"),
    [
        (0, 10, [], (0, 5)),
        (4, 10, [], (4, 7)),
        (4, 11, [], (4, 8)),  # the larger half
        (4, 20, [4, 8, 14, 18], (4, 14)),  # up to the first turn that starts in the newer half
        (4, 20, [4, 8, 10], (4, 10)),  # none does: as many whole turns as there are
        (4, 20, [4], (4, 12)),  # only the turn that is being written: its older half
        (9, 10, [], (9, 10)),
    ],
)
def test_what_leaves_a_full_window(
    n_keep: int, length: int, turn_starts: list[int], expected: tuple[int, int]
) -> None:
    assert Window(64, "slide", n_keep).to_drop(length, turn_starts) == expected


def test_positions_move_with_what_left() -> None:
    assert [moved(at, (3, 6)) for at in (0, 3, 4, 6, 9)] == [0, 3, 3, 3, 6]
    turn = Turn("q", "a", begin=2, answer_begin=5, end=8, decoded_end=7)
    assert turn.after_drop((3, 6)) == Turn("q", "a", begin=2, answer_begin=3, end=5, decoded_end=4)


@pytest.mark.parametrize("overflow", ["error", "slide"])
def test_a_prompt_longer_than_the_context_is_refused(tiny: Belle, overflow: str) -> None:
    with pytest.raises(ValueError, match="129 tokens, the context holds 128"):
        tiny.generate([5] * 129, raw=True, overflow=overflow)  # type: ignore[arg-type]
    tiny.generate([5] * 128, raw=True, overflow=overflow, max_tokens=3)  # type: ignore[arg-type]


def test_generation_goes_on_past_the_context(tiny: Belle) -> None:
    prompt = list(range(10, 40))
    short = tiny.generate(prompt, raw=True, temperature=0, max_tokens=500, banned=[2])
    long = tiny.generate(prompt, raw=True, temperature=0, max_tokens=500, banned=[2], overflow="slide")
    assert (short.finish_reason, short.completion_tokens) == ("length", 128 - 30 + 1)
    assert (long.finish_reason, long.completion_tokens) == ("length", 500)
    assert long.token_ids[: short.completion_tokens] == short.token_ids
    other = tiny.generate(
        prompt, raw=True, temperature=0, max_tokens=500, banned=[2], overflow="slide", n_keep=0
    )
    assert other.token_ids[: short.completion_tokens] == short.token_ids


def test_real_stories_go_on_past_the_context(stories: Belle) -> None:
    result = stories.generate(
        "Once upon a time", raw=True, temperature=0, max_tokens=700, banned=[2], overflow="slide"
    )
    assert result.completion_tokens == 700
    words = result.text[-600:].split()
    assert len(set(words)) > 25, "it still writes words, and not one word again and again"
    assert sum(word.isascii() and word.strip('.,!?"').isalpha() for word in words) > 0.8 * len(words)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["bloom", "llama"])
@pytest.mark.parametrize(("begin", "end"), [(0, 40), (5, 33), (32, 64), (7, 8), (60, 90)])
def test_in_one_layer_a_discard_equals_a_fresh_prefill(
    tmp_path: Path, architecture: str, begin: int, end: int
) -> None:
    """Keys and values of the first layer depend on a token and its position alone."""
    ids = np.random.default_rng(5).integers(3, 300, size=90).tolist()
    path = write_tiny_model(tmp_path / "m.gguf", architecture, n_layers=1, context=256)
    with Belle.load(path) as model:
        sequence = model.backend.new_sequence()
        model.backend.forward([(sequence, ids)], logits="none")
        sequence.discard(begin, end)
        rest = ids[:begin] + ids[end:]
        assert sequence.tokens().tolist() == rest
        got = model.backend.forward([(sequence, [7, 8, 9])], logits="all")[0]
        expected = model.logits([*rest, 7, 8, 9])[-3:]
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_after_a_slide_the_model_sees_the_rest(tiny: Belle) -> None:
    """In several layers what is left remembers what it saw: near a fresh prefill, not equal to it."""
    ids = np.random.default_rng(6).integers(3, 300, size=100).tolist()
    sequence = tiny.backend.new_sequence()
    tiny.backend.forward([(sequence, ids)], logits="none")
    sequence.discard(10, 50)
    got = tiny.backend.forward([(sequence, [7])])[0][0]
    rest = tiny.logits([*ids[:10], *ids[50:], 7], last_only=True)[0]
    unrelated = tiny.logits([*ids[40:90], 9], last_only=True)[0]
    assert np.abs(got - rest).max() < 0.25 * np.abs(got - unrelated).max()


# ---- conversations


def _spans_are_whole(conversation) -> None:
    turns = conversation._history.turns
    position = 0
    for turn in turns:
        assert position == turn.begin <= turn.answer_begin <= turn.end
        position = turn.end
    assert position == len(conversation.token_ids)
    sequence = conversation._history.sequence
    assert sequence.tokens().tolist() == list(conversation.token_ids[: sequence.length])


def test_a_conversation_slides_by_whole_turns(tiny: Belle) -> None:
    conversation = tiny.conversation(
        system="S", overflow="slide", n_keep=50, max_tokens=6, temperature=0, banned=[2]
    )
    first = None
    for index in range(20):
        result = conversation.say(f"q{index}", stop=[])
        assert result.finish_reason in ("length", "stop_string")
        first = first or conversation._history.turns[0]
        assert conversation._history.turns[0] == first, "the first turn stays"
        assert len(conversation.token_ids) <= 128
        _spans_are_whole(conversation)
        left = [turn for turn in conversation._history.turns if turn.end > turn.begin]
        text = tiny.detokenize(conversation.token_ids)
        assert all(turn.user in text for turn in left)
        assert text.count("Human:") == len(left)
    assert len(left) < 20
    assert len(conversation.messages) == 41  # the text of all turns stays readable
    regenerated = conversation.regenerate().finish()
    assert regenerated.prefilled_tokens == 1
    for index in reversed(range(20)):
        assert conversation.undo() == f"q{index}"
        if conversation._history.turns:
            _spans_are_whole(conversation)
    assert conversation.token_ids == ()


def test_a_long_answer_slides_in_the_middle(tiny: Belle, tmp_path: Path) -> None:
    conversation = tiny.conversation(overflow="slide", n_keep=16, max_tokens=300, temperature=0, banned=[2])
    conversation.say("one", max_tokens=5)
    conversation.say("two", max_tokens=5)
    result = conversation.say("three")
    if result.finish_reason == "length":
        assert result.completion_tokens == 300
    assert len(conversation.token_ids) <= 129
    _spans_are_whole(conversation)
    conversation.save(tmp_path / "chat")
    loaded = tiny.load_conversation(
        tmp_path / "chat", overflow="slide", n_keep=16, max_tokens=5, temperature=0, banned=[2]
    )
    assert loaded.messages == conversation.messages
    assert loaded.say("four").token_ids == conversation.say("four", max_tokens=5).token_ids


def test_a_turn_that_does_not_fit_changes_nothing(tiny: Belle) -> None:
    for overflow in ("error", "slide"):
        conversation = tiny.conversation(overflow=overflow, max_tokens=4, temperature=0)
        conversation.say("q")
        before = conversation.messages, conversation.token_ids
        with pytest.raises(ValueError, match="the context holds 128"):
            conversation.send("x" * 130)
        assert (conversation.messages, conversation.token_ids) == before
        conversation.say("q")


def test_a_full_conversation_says_what_to_do(tiny: Belle) -> None:
    conversation = tiny.conversation(max_tokens=20, temperature=0)
    while len(conversation.token_ids) < 80:
        conversation.say("question")
    with pytest.raises(ValueError, match="overflow='slide'"):
        conversation.say("q" * 60)
    conversation.undo()
    conversation.say("q")


def test_a_smaller_context_is_respected(converted: Callable[[str, str], Path]) -> None:
    with Belle.load(converted("bloom", "q4_0"), context=96) as model:
        conversation = model.conversation(overflow="slide", max_tokens=20, temperature=0)
        for _ in range(8):
            conversation.say("用一句话介绍北京。")
            assert len(conversation.token_ids) <= 97
        result = model.generate(
            "用一句话介绍北京。", temperature=0, max_tokens=400, banned=[2], overflow="slide", stop=[]
        )
        assert result.finish_reason == "stop_string" or result.completion_tokens == 400


def test_a_long_conversation_goes_on_in_a_smaller_context(
    converted: Callable[[str, str], Path], tmp_path: Path
) -> None:
    path = converted("bloom", "q4_0")
    with Belle.load(path) as model:
        conversation = model.conversation(temperature=0, max_tokens=12)
        for _ in range(8):
            conversation.say("用一句话介绍北京。")
        conversation.save(tmp_path / "chat")
    with Belle.load(path, context=96) as model:
        with pytest.raises(ValueError, match="overflow='slide'"):
            model.load_conversation(tmp_path / "chat")
        loaded = model.load_conversation(tmp_path / "chat", overflow="slide", temperature=0, max_tokens=12)
        loaded.say("你好")
        assert len(loaded.token_ids) <= 97
        _spans_are_whole(loaded)

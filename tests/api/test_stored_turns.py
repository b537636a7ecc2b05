"""Turns that a database keeps: put together again they are the history of a conversation, whatever happened in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from belle_edge import Belle, _core
from belle_edge.generation.answer import Window
from belle_edge.generation.dialogue_prompt import DialoguePrompt
from belle_edge.generation.history import History
from belle_edge.generation.stored_turns import (
    Kind,
    StoredTurn,
    history_of,
    shared_length,
    stored_of,
    with_cache_of,
)
from belle_edge.generation.streams import Stream
from belle_edge.generation.turn_answers import OpenTurn, answer_of, asked, asked_again, resumed
from belle_edge.sampling import SamplingParams
from belle_edge.text.chat_format import ChatFormat

from .turns import QUESTIONS

GREEDY = SamplingParams(temperature=0.0)
TRIMS = (
    "{% for m in messages %}{{ '[' + m['role'] + '] ' + m['content'].strip()[:8] + ' / ' }}{% endfor %}"
    "{{ '[assistant] ' }}"
)


class Dialogue:
    """A dialogue whose turns are stored one by one, and read again before each of them."""

    def __init__(self, model: Belle, *, context: int, slides: bool, system: str | None = None) -> None:
        self.model = model
        self.window = Window(context, "slide" if slides else "error", context // 4)
        self.system = system
        self.stored: list[StoredTurn] = []
        self.live = History()

    @property
    def kind(self) -> Kind:
        return Kind.of(self.model, self.system)

    @property
    def prompt(self) -> DialoguePrompt:
        return DialoguePrompt(self.model, self.window, 12, self.system)

    @property
    def past(self) -> History:
        return with_cache_of(history_of(self.stored, self.kind), self.live)

    def say(self, text: str, **options: int) -> str:
        before = history_of(self.stored, self.kind)
        return self.finish(asked(self.prompt, self.past, text), before, **options)

    def finish(self, opened: OpenTurn, before: History, **options: int) -> str:
        ended: list[History] = []
        answer = answer_of(opened, self.prompt, GREEDY, **options)
        stream = Stream(
            self.model.scheduler,
            answer,
            lambda last: ended.append(opened.history.answered(opened.turn, last, self.model.tokenizer)),
        )
        stream.finish()
        (self.live,) = ended
        self.stored.append(stored_of(self.live, before, self.kind))
        again = history_of(self.stored, self.kind)
        assert again.ids == self.live.ids
        assert again.turns == self.live.turns
        return self.live.turns[-1].answer


@pytest.fixture(params=["appends", "trims"])
def model(request: pytest.FixtureRequest, tiny_zh: Belle) -> Iterator[Belle]:
    own = tiny_zh.chat_format
    if request.param == "trims":
        tiny_zh.chat_format = ChatFormat(template=TRIMS)
    assert tiny_zh.chat_format.appends == (request.param == "appends")
    yield tiny_zh
    tiny_zh.chat_format = own


@pytest.mark.parametrize("slides", [False, True])
def test_a_stored_dialogue_is_a_conversation(model: Belle, slides: bool) -> None:
    """Its answers and ids, turn by turn; also those after what slid out, and where the template rewrites."""
    context = 96 if slides else model.context
    whole = Dialogue(model, context=context, slides=slides)
    apart = Dialogue(model, context=context, slides=slides)
    for text in QUESTIONS[: 8 if slides else 4]:
        apart.live = History() if not slides else apart.live  # computed anew, with the same bits
        assert whole.say(text) == apart.say(text)
    if slides:
        assert any(turn.is_whole for turn in whole.stored)
    assert whole.live.ids == apart.live.ids


def test_an_answer_once_more_takes_nothing_of_the_old_one(model: Belle) -> None:
    dialogue = Dialogue(model, context=model.context, slides=False)
    dialogue.say(QUESTIONS[0])
    expected = dialogue.say(QUESTIONS[1])
    n_prompt = dialogue.live.turns[-1].answer_begin
    opened = asked_again(dialogue.prompt, dialogue.past)
    assert opened.history.sequence is not None
    assert opened.history.sequence.length == n_prompt - 1
    dialogue.stored.pop()
    assert dialogue.finish(opened, history_of(dialogue.stored, dialogue.kind)) == expected


@pytest.mark.parametrize("cached", [True, False])
def test_an_answer_goes_on(model: Belle, cached: bool) -> None:
    """In parts it is the one that it is as a whole, also where its beginning is computed again."""
    whole = Dialogue(model, context=model.context, slides=False)
    parts = Dialogue(model, context=model.context, slides=False)
    expected = whole.say(QUESTIONS[4], max_tokens=30)
    parts.say(QUESTIONS[4], max_tokens=4)
    for _ in range(3):
        if not cached:
            parts.live = History()
        opened = resumed(parts.prompt, parts.past)
        parts.stored.pop()
        parts.finish(opened, history_of(parts.stored, parts.kind), max_tokens=9)
    found = parts.stored[-1].answer
    assert found == expected[: len(found)]
    assert len(found) > 12 or found == expected


def test_what_is_shared_was_computed_in_the_same_phase(tiny_zh: Belle) -> None:
    """A prompt that quotes an earlier answer is not that answer."""
    dialogue = Dialogue(tiny_zh, context=tiny_zh.context, slides=False)
    dialogue.say(QUESTIONS[0])
    turn = dialogue.live.turns[0]
    quoted = replace(turn, answer_begin=turn.end, decoded_end=turn.end)
    as_prompt = History(dialogue.live.ids, (quoted,))
    assert shared_length(as_prompt, dialogue.live) == turn.answer_begin
    assert shared_length(dialogue.past, dialogue.live) == dialogue.live.sequence.length  # type: ignore[union-attr]


def test_other_vocabularies_templates_and_systems(tiny_zh: Belle) -> None:
    """Ids of another model are texts; another system text is seen, and keeps what it has in common."""
    dialogue = Dialogue(tiny_zh, context=tiny_zh.context, slides=False)
    dialogue.say(QUESTIONS[0])
    (turn,) = dialogue.stored
    foreign = replace(turn, layout={**turn.layout, "vocabulary": "another"})
    past = history_of([foreign], dialogue.kind)
    assert past.ids == ()
    assert past.turns[0].rewritten
    dialogue.stored, dialogue.live = [foreign], History()
    dialogue.say(QUESTIONS[1])
    text = tiny_zh.detokenize(list(dialogue.live.ids))
    assert QUESTIONS[0] in text
    assert turn.answer in text
    dialogue.system = "你说话很短。"
    dialogue.say(QUESTIONS[2])
    assert tiny_zh.detokenize(list(dialogue.live.ids)).count("你说话很短。") == 1


def test_a_sampler_goes_on() -> None:
    """With the random numbers and the penalties of one that chose the same tokens."""
    rows = np.random.default_rng(1).normal(size=(40, 50)).astype(np.float32)
    settings = {"temperature": 1.3, "seed": 9, "repetition_penalty": 1.4, "presence_penalty": 0.3}
    whole = _core.Sampler(**settings)  # type: ignore[arg-type]
    chosen = [whole.sample(row) for row in rows]
    for n_before in (0, 1, 17):
        later = _core.Sampler(**settings)  # type: ignore[arg-type]
        later.resume(chosen[:n_before])
        assert [later.sample(row) for row in rows[n_before:]] == chosen[n_before:]


def test_how_far_loading_is(tiny_zh: Belle) -> None:
    progress = _core.LoadProgress()
    assert (progress.done_bytes, progress.total_bytes) == (0, 0)
    with Belle.load(tiny_zh.path, progress=progress):
        file = _core.GgufFile(str(tiny_zh.path))
        assert progress.done_bytes == progress.total_bytes == file.size_bytes - file.data_offset

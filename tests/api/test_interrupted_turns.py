"""Turns that end early: what was written is kept, or the turn never happened; never something between."""

from __future__ import annotations

import _thread
import threading

import pytest

from belle_edge import Belle

from .turns import QUESTIONS, assert_turn_equals_its_parts


def test_an_interrupted_turn_keeps_what_was_written(tiny_zh: Belle) -> None:
    conversation = tiny_zh.conversation(temperature=0, max_tokens=30)
    stream = conversation.send(QUESTIONS[0])
    begun = next(stream) + next(stream)
    stream.close()
    assert conversation.messages[-1] == {"role": "assistant", "content": begun}
    turn = conversation._history.turns[-1]
    assert tiny_zh.detokenize(conversation.token_ids[turn.answer_begin :]) == begun
    assert_turn_equals_its_parts(tiny_zh, conversation, "继续", 30)


def test_ctrl_c_in_a_turn(tiny_zh: Belle, monkeypatch: pytest.MonkeyPatch) -> None:
    conversation = tiny_zh.conversation(temperature=0, max_tokens=30)
    conversation.say("你好")
    before = conversation.messages, conversation.token_ids
    real = tiny_zh.backend.forward_sample

    def interrupt_pass(number: int) -> None:
        passes = iter(range(1, 1000))

        def forward_sample(batch, **options):
            if next(passes) == number:
                raise KeyboardInterrupt
            return real(batch, **options)

        monkeypatch.setattr(tiny_zh.backend, "forward_sample", forward_sample)
        with pytest.raises(KeyboardInterrupt):
            conversation.say(QUESTIONS[0])

    interrupt_pass(1)  # in the prefill: the turn never happened
    assert (conversation.messages, conversation.token_ids) == before
    interrupt_pass(3)
    assert len(conversation.messages) == len(before[0]) + 2
    monkeypatch.undo()
    assert_turn_equals_its_parts(tiny_zh, conversation, "继续", 30)


@pytest.mark.slow
def test_a_real_ctrl_c(tiny: Belle) -> None:
    conversation = tiny.conversation(temperature=0, max_tokens=10**6, overflow="slide", n_keep=8, banned=[2])
    conversation.say("a", max_tokens=3)
    for delay in (0.02, 0.05, 0.1, 0.15):
        timer = threading.Timer(delay, _thread.interrupt_main)
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            conversation.say("b")
        timer.join()
        ids, sequence = list(conversation.token_ids), conversation._history.sequence
        if sequence is not None:  # given up when the interrupt came in the middle of a slide
            assert sequence.tokens().tolist() == ids[: sequence.length]
        assert conversation._history.turns[-1].end == len(ids)
    conversation.say("c", max_tokens=3)
    conversation.regenerate(max_tokens=3).finish()


def test_a_regeneration_that_fails_keeps_the_old_answer(
    tiny_zh: Belle, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = tiny_zh.conversation(temperature=0, max_tokens=8)
    conversation.say("你好")
    before = conversation.messages, conversation.token_ids

    def failing(batch, **options):
        raise RuntimeError("no")

    with monkeypatch.context() as patch:
        patch.setattr(tiny_zh.backend, "forward_sample", failing)
        with pytest.raises(RuntimeError, match="no"):
            conversation.regenerate().finish()
    assert (conversation.messages, conversation.token_ids) == before
    assert_turn_equals_its_parts(tiny_zh, conversation, "继续", 8)


def test_leaving_a_loop_ends_the_turn(tiny_zh: Belle) -> None:
    conversation = tiny_zh.conversation(temperature=0, max_tokens=30)
    for _piece in conversation.send(QUESTIONS[0]):
        break
    assert len(conversation.messages) == 2
    stream = conversation.send(QUESTIONS[1])
    next(stream)
    conversation.send(QUESTIONS[2]).finish()  # ends the one before
    assert [m["content"] for m in conversation.messages[::2]] == QUESTIONS[:3]
    assert list(stream) == []
    unused = conversation.send(QUESTIONS[3])
    conversation.undo()
    assert list(unused) == []
    assert len(conversation.messages) == 4


def test_two_threads_cannot_write_in_one_conversation(tiny_zh: Belle) -> None:
    conversation = tiny_zh.conversation(temperature=0, max_tokens=60, banned=[2])
    stream = conversation.send(QUESTIONS[0])
    next(stream)
    begun, refused = threading.Event(), []

    def write() -> None:
        for _ in stream:
            begun.set()

    thread = threading.Thread(target=write)
    thread.start()
    begun.wait()
    while thread.is_alive():
        try:
            conversation.send("x")
        except RuntimeError as error:
            refused.append(str(error))
        else:
            break
    thread.join()
    assert all("another thread" in message for message in refused)
    assert len(conversation.messages) == 2

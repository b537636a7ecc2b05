"""What every turn of a conversation has to fulfil, and questions to ask."""

from __future__ import annotations

from typing import Any

from belle_edge import Belle, Conversation, Generation
from belle_edge.generation.answer import Answer, Window
from belle_edge.generation.streams import Stream

QUESTIONS = [
    "你是谁？",
    "列举三种水果。",
    "你好",
    "春天是什么样的？",
    "写一个关于猫的句子。",
    "1+1等于几？",
    "翻译：hello",
    "给我一个建议。",
    "什么是水？",
    "推荐一本书。",
    "</s>是什么？",
    "谢谢！",
]


def cached_tokens(conversation: Conversation) -> int:
    sequence = conversation._history.sequence
    return 0 if sequence is None else sequence.length


def last_answer_anew(model: Belle, conversation: Conversation, n_answer: int, **sampling: Any) -> Generation:
    """The last turn answered greedily without its cache: prompts at once, each answer token by token."""
    *earlier, last = conversation._history.turns
    ids, sequence = conversation.token_ids[: last.answer_begin], model.backend.new_sequence()
    for turn in earlier:
        if sequence.length < turn.answer_begin:
            piece = ids[sequence.length : turn.answer_begin]
            model.backend.forward([(sequence, piece)], logits="none")
        for position in range(sequence.length, turn.decoded_end):
            model.backend.forward([(sequence, [ids[position]])], logits="none", decode=True)
    params = model.settings(raw=True, params=None, sampling={"temperature": 0, **sampling})
    window = Window(model.context)
    answer = Answer(
        model.backend, model.tokenizer, ids, params, max_tokens=n_answer, window=window, sequence=sequence
    )
    return Stream(model.scheduler, answer).finish()


def assert_turn_equals_its_parts(model: Belle, conversation: Conversation, text: str, n_answer: int) -> None:
    """One greedy turn: only what is not cached is computed, and the same parts without a cache answer alike."""
    before, n_cached = conversation.token_ids, cached_tokens(conversation)
    result = conversation.say(text)
    prompt = conversation.token_ids[: conversation._history.turns[-1].answer_begin]
    assert prompt[: len(before)] == before, "ids of earlier turns changed"
    assert result.prefilled_tokens == len(prompt) - n_cached
    assert n_cached >= len(before) - 1, "only an answer's last token may be left to compute"
    once = last_answer_anew(model, conversation, n_answer, stop=model.chat_format.stop_strings)
    assert (once.token_ids, once.text, once.finish_reason) == (
        result.token_ids,
        result.text,
        result.finish_reason,
    )
    assert conversation.messages[-2:] == [
        {"role": "user", "content": text},
        {"role": "assistant", "content": result.text},
    ]

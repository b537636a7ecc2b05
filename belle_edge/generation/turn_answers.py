"""The answer to the last turn of a history: begun, begun again, or gone on with."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..sampling import SamplingParams
from .answer import Answer
from .constraint import Constraint
from .conversation_file import Turn
from .dialogue_prompt import DialoguePrompt
from .history import History


@dataclass(frozen=True)
class OpenTurn:
    """A turn that has no answer yet, or not all of it."""

    history: History  # ends with its prompt, or with the beginning of its answer; has the turns before it
    turn: Turn
    n_resumed: int = 0  # tokens of its answer that are there


def asked(prompt: DialoguePrompt, history: History, text: str) -> OpenTurn:
    """A new message behind `history`. Raises ContextLengthError where it has no room, and ValueError."""
    return _opened(text, *prompt.behind(history, text))


def asked_again(prompt: DialoguePrompt, history: History) -> OpenTurn:
    """The last message of `history` without its answer; one token of its prompt is computed anew. ValueError where
    there is none, or it has slid out."""
    turn = history.turns[-1]
    history = history.cut(turn.answer_begin, len(history.turns) - 1)
    if turn.rewritten:
        return _opened(turn.user, *prompt.rendered(history, turn.user))
    if turn.begin == turn.answer_begin:
        raise ValueError("[conversation] the last message has slid out of the context")
    if history.sequence is not None and history.sequence.length == turn.answer_begin:
        history.sequence.truncate(turn.answer_begin - 1)
    return OpenTurn(history, turn)


def resumed(prompt: DialoguePrompt, history: History) -> OpenTurn:
    """The last answer of `history`, which is to go on. Raises ContextLengthError where it has no room; ValueError
    where nothing of it stands in the context."""
    turn = history.turns[-1]
    if turn.rewritten or turn.answer_begin == turn.end:
        raise ValueError("[conversation] of the last answer nothing is left that could go on")
    history = prompt.with_room_for_more(history)
    turn = history.turns[-1]
    if (
        history.sequence is not None
    ):  # the last token is fed anew; what a later turn computed of it was its prompt
        known = min(history.sequence.length, turn.decoded_end, len(history.ids) - 1)
        history.sequence.truncate(known)
    return OpenTurn(replace(history, turns=history.turns[:-1]), turn, turn.end - turn.answer_begin)


def answer_of(
    opened: OpenTurn,
    prompt: DialoguePrompt,
    params: SamplingParams,
    *,
    max_tokens: int | None = None,
    constraint: Constraint | None = None,
) -> Answer:
    """The answer, of which nothing is computed yet. max_tokens None: the dialogue's own. ValueError as `Answer`."""
    history, turn = opened.history, opened.turn
    written = [(earlier.answer_begin, earlier.decoded_end) for earlier in history.turns]
    if opened.n_resumed:
        written.append((turn.answer_begin, turn.end))
    return Answer(
        prompt.model.backend,
        prompt.model.tokenizer,
        history.ids,
        params,
        max_tokens=prompt.max_tokens if max_tokens is None else max_tokens,
        window=replace(prompt.window, n_keep=prompt.n_kept_of(history)),
        sequence=history.sequence,
        turn_starts=[*(earlier.begin for earlier in history.turns[1:]), turn.begin],
        written=[(begin, end) for begin, end in written if begin < end],
        n_resumed=opened.n_resumed,
        constraint=constraint,
    )


def _opened(text: str, history: History, begin: int) -> OpenTurn:
    end = len(history.ids)
    return OpenTurn(history, Turn(text, "", begin, end, end, end))

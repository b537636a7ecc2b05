"""What an answer is to be, decided when it is asked for: its message, its path, its settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ...generation.answer import Window
from ...generation.dialogue_prompt import DialoguePrompt
from ...generation.history import History
from ...generation.stored_turns import Kind, history_of
from ...generation.turn_answers import OpenTurn, asked, asked_again, resumed
from ...model import Belle
from ...sampling import SAMPLING_NUMBERS
from .live_caches import LiveCaches
from .stored_path import StoredPath


@dataclass(frozen=True)
class AnswerPlan:
    """Of one answer. Nothing of it is computed yet."""

    chat: str
    message: str  # the assistant's
    kind: Literal["new", "again", "more"]
    question: str  # with its files; as the model is asked
    path: StoredPath  # up to the turn before; for "more" and "again" with the turn itself
    system: str | None
    settings: Mapping[str, Any]  # of the chat, and the seed
    max_tokens: int
    overflow: Literal["error", "slide"]
    earlier: Mapping[str, Any]  # timings of the part of the answer that is there
    earlier_text: str = ""  # that part
    is_summary: bool = False

    @property
    def sampling(self) -> dict[str, Any]:
        names = (*SAMPLING_NUMBERS, "seed")
        return {name: self.settings[name] for name in names if name in self.settings}

    @property
    def path_before(self) -> StoredPath:
        """Without the turn itself."""
        return self.path if self.kind == "new" else self.path.before


@dataclass(frozen=True)
class Opened:
    """A plan on a loaded model."""

    kind: Kind
    prompt: DialoguePrompt
    turn: OpenTurn
    before: History  # of the turns before, without a cache


def opened(plan: AnswerPlan, belle: Belle, caches: LiveCaches) -> Opened:
    """The turn with what is computed already. Raises ContextLengthError and ValueError."""
    kind = Kind.of(belle, plan.system)
    window = Window(belle.context, plan.overflow, belle.context // 4)
    prompt = DialoguePrompt(belle, window, plan.max_tokens, plan.system)
    before = history_of(plan.path_before.turns, kind)
    whole = before if plan.kind == "new" else history_of(plan.path.turns, kind)
    cached = caches.with_cache(plan.chat, belle, whole)
    return Opened(kind, prompt, _turn(plan, prompt, cached, before), before)


def _turn(plan: AnswerPlan, prompt: DialoguePrompt, history: History, before: History) -> OpenTurn:
    if plan.kind == "new":
        return asked(prompt, history, plan.question)
    if plan.kind == "more":
        return resumed(prompt, history)
    turn = history.turns[-1]
    follows = turn.begin == len(before.ids) and history.ids[: turn.begin] == before.ids
    if turn.rewritten or turn.begin == turn.answer_begin or not follows:
        kept = history.cut(min(len(before.ids), len(history.ids)), len(before.turns))
        is_same = kept.ids == before.ids
        start = History(before.ids, before.turns, kept.sequence if is_same else None)
        return asked(prompt, start, plan.question)
    return asked_again(prompt, history)

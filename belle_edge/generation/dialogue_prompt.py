"""The prompt of the next turn of a dialogue, behind what is there already: what stays, what slides out, what is new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..errors import ContextLengthError
from .answer import Window
from .conversation_file import Turn
from .history import History, kept_beginning
from .loaded_model import LoadedModel


@dataclass(frozen=True)
class DialoguePrompt:
    """Makes the prompts of one dialogue; the turns themselves are in its history."""

    model: LoadedModel
    window: Window
    max_tokens: int  # of an answer; where the window slides, room is made for it
    system: str | None = None

    def behind(self, history: History, text: str) -> tuple[History, int]:
        """`history` with the prompt of a new turn at its end, and where that begins; the cache is a fork."""
        if not self.model.chat_format.appends or any(turn.rewritten for turn in history.turns):
            return self.rendered(history, text)
        if not history.ids:
            new_ids = self.encode(text)
        else:
            self._check_text(text)
            model = self.model
            new_ids = model.chat_format.encode_next(model.tokenizer, text, limit=model.context)
        history = self._with_room(history.cut(len(history.ids), len(history.turns)), len(new_ids))
        return replace(history, ids=(*history.ids, *new_ids)), len(history.ids)

    def rendered(self, history: History, text: str) -> tuple[History, int]:
        """As `behind`, for templates that show earlier turns as they like: the dialogue is rendered anew, and
        what it has in common with the history stays."""
        slides, context = self.window.slides, self.window.context
        self.encode(text)  # a message that has no room alone is refused before the others are encoded
        wanted = min(self.max_tokens, context // 4) if slides else 0
        history = history.cut(len(history.ids), len(history.turns))
        while True:
            n_kept, new_ids = self._continued(history, text)
            n_tokens = n_kept + len(new_ids)
            older = self._older_turns(history, must=n_tokens > context) if slides else []
            if n_tokens + wanted <= context or not older:
                break
            history = history.without_turns(older)
        self._check_room(n_kept, len(new_ids))
        history = history.cut(n_kept, len(history.turns))
        return replace(history, ids=(*history.ids, *new_ids)), n_kept

    def with_room_for_more(self, history: History) -> History:
        """`history`, whose last answer is to go on, less what has to slide out for that; the cache is a fork."""
        history = history.cut(len(history.ids), len(history.turns))
        while self.window.slides and len(history.ids) > self.window.context:
            window = replace(self.window, n_keep=self.n_kept_of(history))
            dropped = window.to_drop(len(history.ids), [turn.begin for turn in history.turns[1:]])
            history = history.without(dropped)
        self._check_room(0, len(history.ids))
        return history

    def _continued(self, history: History, text: str) -> tuple[int, list[int]]:
        """How many ids of the history stay when the dialogue goes on with `text`, and the ids that follow.

        The space before an answer can be the template's own, which answers then must not bring along.
        """
        turns = [turn for turn in history.turns if turn.stands]
        tokenizer = self.model.tokenizer
        best = kept_beginning(tokenizer, history, self.encode(text, turns))
        if best[0] < len(history.ids) and any(turn.answer.startswith(" ") for turn in turns):
            turns = [replace(turn, answer=turn.answer.removeprefix(" ")) for turn in turns]
            other = kept_beginning(tokenizer, history, self.encode(text, turns))
            best = other if other[0] > best[0] else best
        return best

    def _older_turns(self, history: History, *, must: bool) -> list[int]:
        """The turns to drop next: the older half, but not the first one, unless it is long or they `must` go."""
        standing = [index for index, turn in enumerate(history.turns) if turn.stands]
        is_short = bool(standing) and history.turns[standing[0]].end <= self.window.n_keep
        others = standing[1:] if is_short else standing
        if not others and must:
            others = standing
        return others[: (len(others) + 1) // 2]

    def _with_room(self, history: History, n_new: int) -> History:
        """`history`, less its oldest turns where it slides, so that `n_new` tokens fit and a part of an answer."""
        context = self.window.context
        wanted = n_new + min(self.max_tokens, context // 4) if self.window.slides else n_new
        while self.window.slides and len(history.ids) + wanted > context:
            window = replace(self.window, n_keep=self.n_kept_of(history))
            if len(history.ids) <= window.n_keep:
                break
            ends = [turn.begin for turn in history.turns[1:]]
            dropped = window.to_drop(len(history.ids), ends)
            if not any(begin >= dropped[1] for begin in ends):
                dropped = (dropped[0], len(history.ids))
            history = history.without(dropped)
        self._check_room(len(history.ids), n_new)
        return history

    def _check_room(self, n_before: int, n_new: int) -> None:
        context = self.window.context
        if n_before + n_new > context:
            raise ContextLengthError(
                f"[conversation] this turn has {n_new} tokens and {n_before} stand before it, the "
                f"context holds {context}: shorten it, undo or reset, or use overflow='slide'"
            )

    def n_kept_of(self, history: History) -> int:
        """Tokens at the beginning that never slide out: the first turn, or as much of it as n_keep allows."""
        first = next((turn for turn in history.turns if turn.begin < turn.end), None)
        return self.window.n_keep if first is None else min(self.window.n_keep, first.end)

    def encode(self, text: str, turns: Sequence[Turn] = ()) -> list[int]:
        """Ids of the whole dialogue: the system text, `turns`, then a message that waits for its answer."""
        self._check_text(text)
        messages = [] if self.system is None else [{"role": "system", "content": self.system}]
        for turn in turns:
            messages += [
                {"role": "user", "content": turn.user},
                {"role": "assistant", "content": turn.answer},
            ]
        messages.append({"role": "user", "content": text})
        model = self.model
        limit = None if turns else model.context
        return model.chat_format.encode(model.tokenizer, messages, limit=limit)

    def _check_text(self, text: str) -> None:
        if not isinstance(text, str):
            raise ValueError(f"[conversation] expected a message of text, got {text!r}")

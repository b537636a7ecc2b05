"""A dialogue that keeps its history as token ids with a live key/value cache: each turn computes only new tokens."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from ..backends.base import Backend
from ..process_lock import ProcessLock
from ..sampling import SamplingParams, SamplingSettings
from ..text.chat_format import ChatFormat, encode_continuation
from ..text.tokenizer import Tokenizer
from . import conversation_file
from .answer import Answer, Overflow, Window, limit_of
from .conversation_file import Turn
from .history import History, kept_beginning
from .streams import Generation, Stream

if TYPE_CHECKING:
    from typing_extensions import Unpack


class LoadedModel(Protocol):
    """What a conversation needs of `Belle`."""

    backend: Backend
    tokenizer: Tokenizer
    chat_format: ChatFormat
    context: int

    def settings(
        self, *, raw: bool, params: SamplingParams | None, sampling: Mapping[str, Any]
    ) -> SamplingParams: ...


class Conversation:
    """A dialogue with one model; made by `Belle.conversation`. For one thread at a time.

    The history is token ids. A finished turn is: the ids of its prompt, then the ids the model chose, up to the
    last whole character before EOS or a stop string; EOS itself and the stop string are not part of it. What
    closes a turn (EOS in belle-v2, nothing in the other families) comes with the next prompt: the text that the
    template puts behind an answer. A token that holds the end of the answer and the beginning of a stop string
    gives way to the tokens of its first part.

    BELLE's own templates only add to what was said. Any other one renders the whole dialogue for each turn: ids and
    cache stay up to the first difference, be it a space that the template trims or an answer that it shortens.

    A turn that is left early (Ctrl-C, `close`, an error) keeps the part of the answer that was written; if
    nothing was, the turn never happened. With a seed, the n-th answer (n from 0) uses seed + n.
    """

    def __init__(
        self,
        model: LoadedModel,
        *,
        system: str | None = None,
        max_tokens: int | None = 512,
        params: SamplingParams | None = None,
        overflow: Overflow = "error",
        n_keep: int | None = None,
        sampling: Mapping[str, Any] | None = None,
    ) -> None:
        """See `Belle.conversation`."""
        self._model = model
        self._params = params
        self._sampling = dict(sampling or {})
        self._window = Window(model.context, overflow, model.context // 4 if n_keep is None else n_keep)
        self._max_tokens = limit_of(max_tokens, self._window)
        self._history = History()
        self._n_drawn = 0  # answers written, regenerated ones included
        self._current: weakref.ref[Stream] | None = None
        self._lock = ProcessLock()
        model.settings(raw=False, params=params, sampling=self._sampling)  # raises early
        self.system: str | None = None
        self._set_system(system)

    @property
    def messages(self) -> list[dict[str, str]]:
        """The dialogue as text: [{"role": …, "content": …}, …]. Turns that slid out are still in it."""
        found = [] if self.system is None else [{"role": "system", "content": self.system}]
        for turn in self._history.turns:
            found.append({"role": "user", "content": turn.user})
            found.append({"role": "assistant", "content": turn.answer})
        return found

    @property
    def token_ids(self) -> tuple[int, ...]:
        """The history as the model sees it."""
        return self._history.ids

    @property
    def settings(self) -> SamplingParams:
        """How the next token is chosen: the model's preset and stop strings under the conversation's own settings."""
        return self._model.settings(raw=False, params=self._params, sampling=self._sampling)

    @property
    def max_tokens(self) -> int:
        """The longest answer, in tokens."""
        return self._max_tokens

    @property
    def dropped_tokens(self) -> int:
        """Tokens that have left the context because it was full, since the conversation was begun or loaded."""
        return self._history.n_dropped

    def configure(self, *, max_tokens: int | None = None, **sampling: Any) -> None:
        """Other settings from the next answer on; one that is given as None becomes the model's own again.

        max_tokens None: as before. Raises ValueError for a setting out of range, and changes nothing then.
        """
        changed = {name: value for name, value in {**self._sampling, **sampling}.items() if value is not None}
        n_tokens = self._max_tokens if max_tokens is None else limit_of(max_tokens, self._window)
        SamplingParams().merged(**sampling)  # names and values, also of settings that are taken back
        self._model.settings(raw=False, params=self._params, sampling=changed)
        self._max_tokens, self._sampling = n_tokens, changed

    def send(
        self, text: str, *, max_tokens: int | None = None, **sampling: Unpack[SamplingSettings]
    ) -> Stream:
        """Ask; iterate the stream for the answer. max_tokens, sampling: other than the conversation's own.

        An answer that is still being written is ended first, as if it had been left.
        Raises ValueError for a turn that does not fit into the context, and as `Belle.generate`.
        """
        with self._lock:
            self._settle()
            history, begin = self._prompted(self._history, text)
            end = len(history.ids)
            return self._begin(history, Turn(text, "", begin, end, end, end), max_tokens, sampling)

    def say(
        self, text: str, *, max_tokens: int | None = None, **sampling: Unpack[SamplingSettings]
    ) -> Generation:
        """As `send`, but returns the whole answer."""
        return self.send(text, max_tokens=max_tokens, **sampling).finish()

    def regenerate(self, *, max_tokens: int | None = None, **sampling: Unpack[SamplingSettings]) -> Stream:
        """Answer the last message again; one token of its prompt is computed anew. The old answer goes when
        the new one has begun. Raises ValueError when there is none."""
        with self._lock:
            self._settle()
            turn = self._last_turn()
            history = self._history.cut(turn.answer_begin, len(self._history.turns) - 1)
            if turn.rewritten:
                history, begin = self._rendered(history, turn.user)
                end = len(history.ids)
                return self._begin(history, Turn(turn.user, "", begin, end, end, end), max_tokens, sampling)
            if turn.begin == turn.answer_begin:
                raise ValueError("[conversation] the last message has slid out of the context")
            if history.sequence is not None and history.sequence.length == turn.answer_begin:
                history.sequence.truncate(turn.answer_begin - 1)
            return self._begin(history, turn, max_tokens, sampling)

    def undo(self) -> str:
        """Take the last message and its answer back; returns the message. Raises ValueError when there is
        none. Turns that slid out do not return."""
        with self._lock:
            self._settle()
            turn = self._last_turn()
            self._history = self._history.cut(turn.begin, len(self._history.turns) - 1)
            return turn.user

    def reset(self, system: str | None = None) -> None:
        """Forget all turns. system: None keeps the system text, "" removes it."""
        with self._lock:
            self._settle()
            self._set_system(self.system if system is None else system)
            self._history = History()

    def save(self, path: str | os.PathLike[str], *, cache: bool = True, replace: bool = True) -> None:
        """Write the conversation to one file, for `Belle.load_conversation`; it appears whole or not at all.

        cache: with the key/value cache, so that resuming computes nothing. replace: a conversation that was saved
        under this name gives way. Raises FileExistsError for a name that is taken otherwise, and other OSErrors.
        """
        with self._lock:
            self._settle()
            history = self._history
            state = history.sequence.save() if cache and history.sequence is not None else b""
            saved = conversation_file.Saved(
                vocabulary=conversation_file.fingerprint(self._model.tokenizer.vocabulary.tokens),
                system=self.system,
                n_drawn=self._n_drawn,
                ids=history.ids,
                turns=history.turns,
            )
            conversation_file.write(path, saved, state, replace=replace)

    @classmethod
    def load(cls, model: LoadedModel, path: str | os.PathLike[str], **options: Any) -> Conversation:
        """See `Belle.load_conversation`."""
        saved, state = conversation_file.read(path, model.tokenizer.vocabulary.tokens)
        conversation = cls(model, system=saved.system, **options)
        if len(saved.ids) > model.context + 1 and not conversation._window.slides:
            raise ValueError(
                f"[conversation] {os.fspath(path)} has {len(saved.ids)} tokens, the context holds "
                f"{model.context}: use overflow='slide'"
            )
        sequence = conversation_file.restored(model.backend, state, saved.ids)
        conversation._history = History(saved.ids, saved.turns, sequence)
        conversation._n_drawn = saved.n_drawn
        return conversation

    # ---- one turn

    def _begin(
        self, history: History, turn: Turn, max_tokens: int | None, sampling: Mapping[str, Any]
    ) -> Stream:
        """The stream of an answer to `history`, which ends with the prompt of `turn`."""
        model = self._model
        own = {name: value for name, value in sampling.items() if value is not None}
        params = model.settings(raw=False, params=self._params, sampling={**self._sampling, **own})
        if params.seed is not None and "seed" not in own:
            params = replace(params, seed=(params.seed + self._n_drawn) % 2**64)
        answer = Answer(
            model.backend,
            model.tokenizer,
            history.ids,
            params,
            max_tokens=self._max_tokens if max_tokens is None else max_tokens,
            window=replace(self._window, n_keep=self._n_kept(history)),
            sequence=history.sequence,
            turn_starts=[*(earlier.begin for earlier in history.turns[1:]), turn.begin],
            written=[(earlier.answer_begin, earlier.decoded_end) for earlier in history.turns],
        )
        stream = Stream(model.backend, answer, lambda ended: self._commit(history, turn, ended))
        self._current = weakref.ref(stream)
        return stream

    def _commit(self, history: History, turn: Turn, answer: Answer) -> None:
        """The answer has ended, or was left: it becomes the history's last turn, if it has any text or came to
        its own end."""
        if not self._lock.usable or not (answer.finished or answer.text):
            return  # in a forked child the turn is the parent's
        ids, rest = answer.spoken()
        sequence, n_spoken = answer.sequence, len(ids)
        if sequence is not None:
            sequence.truncate(min(sequence.length, len(ids)))
            if sequence.tokens().tolist() != ids[: sequence.length]:  # Ctrl-C came in the middle of a slide
                sequence = None
        ids += encode_continuation(self._model.tokenizer, rest) if rest else []
        turns = [*history.turns, replace(turn, answer=answer.text)]
        for dropped in answer.dropped:
            turns = [earlier.after_drop(dropped) for earlier in turns]
        decoded_end = max(answer.begin, sequence.length if sequence is not None else n_spoken - 1)
        turns[-1] = replace(turns[-1], answer_begin=answer.begin, end=len(ids), decoded_end=decoded_end)
        n_dropped = history.n_dropped + sum(end - begin for begin, end in answer.dropped)
        self._history = History(tuple(ids), tuple(turns), sequence, n_dropped)
        self._n_drawn += 1
        self._current = None

    def _settle(self) -> None:
        """End an answer that is still being written. RuntimeError if another thread is writing it."""
        stream = None if self._current is None else self._current()
        if stream is not None:
            stream.close()
        self._current = None

    # ---- a prompt behind the history

    def _prompted(self, history: History, text: str) -> tuple[History, int]:
        """`history` with the prompt of a new turn at its end, and where that begins; the cache is a fork."""
        if not self._model.chat_format.appends or any(turn.rewritten for turn in history.turns):
            return self._rendered(history, text)
        if not history.ids:
            new_ids = self._encode(text)
        else:
            self._check_text(text)
            model = self._model
            new_ids = model.chat_format.encode_next(model.tokenizer, text, limit=model.context)
        history = self._with_room(history.cut(len(history.ids), len(history.turns)), len(new_ids))
        return replace(history, ids=(*history.ids, *new_ids)), len(history.ids)

    def _rendered(self, history: History, text: str) -> tuple[History, int]:
        """As `_prompted`, for templates that show earlier turns as they like: the dialogue is rendered anew, and
        what it has in common with the history stays."""
        slides, context = self._window.slides, self._window.context
        self._encode(text)  # a message that has no room alone is refused before the others are encoded
        wanted = min(self._max_tokens, context // 4) if slides else 0
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

    def _continued(self, history: History, text: str) -> tuple[int, list[int]]:
        """How many ids of the history stay when the dialogue goes on with `text`, and the ids that follow.

        The space before an answer can be the template's own, which answers then must not bring along.
        """
        turns = [turn for turn in history.turns if turn.stands]
        tokenizer = self._model.tokenizer
        best = kept_beginning(tokenizer, history, self._encode(text, turns))
        if best[0] < len(history.ids) and any(turn.answer.startswith(" ") for turn in turns):
            turns = [replace(turn, answer=turn.answer.removeprefix(" ")) for turn in turns]
            other = kept_beginning(tokenizer, history, self._encode(text, turns))
            best = other if other[0] > best[0] else best
        return best

    def _older_turns(self, history: History, *, must: bool) -> list[int]:
        """The turns to drop next: the older half, but not the first one, unless it is long or they `must` go."""
        standing = [index for index, turn in enumerate(history.turns) if turn.stands]
        is_short = bool(standing) and history.turns[standing[0]].end <= self._window.n_keep
        others = standing[1:] if is_short else standing
        if not others and must:
            others = standing
        return others[: (len(others) + 1) // 2]

    def _with_room(self, history: History, n_new: int) -> History:
        """`history`, less its oldest turns where it slides, so that `n_new` tokens fit and a part of an answer."""
        context = self._window.context
        wanted = n_new + min(self._max_tokens, context // 4) if self._window.slides else n_new
        while self._window.slides and len(history.ids) + wanted > context:
            window = replace(self._window, n_keep=self._n_kept(history))
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
        context = self._window.context
        if n_before + n_new > context:
            raise ValueError(
                f"[conversation] this turn has {n_new} tokens and {n_before} stand before it, the "
                f"context holds {context}: shorten it, undo or reset, or use overflow='slide'"
            )

    def _n_kept(self, history: History) -> int:
        """Tokens at the beginning that never slide out: the first turn, or as much of it as n_keep allows."""
        first = next((turn for turn in history.turns if turn.begin < turn.end), None)
        return self._window.n_keep if first is None else min(self._window.n_keep, first.end)

    # ---- parts

    def _encode(self, text: str, turns: Sequence[Turn] = ()) -> list[int]:
        """Ids of the whole dialogue: the system text, `turns`, then a message that waits for its answer."""
        self._check_text(text)
        messages = [] if self.system is None else [{"role": "system", "content": self.system}]
        for turn in turns:
            messages += [
                {"role": "user", "content": turn.user},
                {"role": "assistant", "content": turn.answer},
            ]
        messages.append({"role": "user", "content": text})
        model = self._model
        limit = None if turns else model.context
        return model.chat_format.encode(model.tokenizer, messages, limit=limit)

    def _check_text(self, text: str) -> None:
        if not isinstance(text, str):
            raise ValueError(f"[conversation] expected a message of text, got {text!r}")

    def _set_system(self, system: str | None) -> None:
        if system is not None and not isinstance(system, str):
            raise ValueError(f"[conversation] system: expected text, got {system!r}")
        before, self.system = self.system, system or None
        try:
            self._encode("")  # the template may refuse the role
        except ValueError:
            self.system = before
            raise

    def _last_turn(self) -> Turn:
        if not self._history.turns:
            raise ValueError("[conversation] nothing was said yet")
        return self._history.turns[-1]

    def __repr__(self) -> str:
        return f"Conversation({len(self._history.turns)} turns, {len(self._history.ids)} tokens)"

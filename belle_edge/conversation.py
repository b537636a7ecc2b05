"""A dialogue that keeps its history as token ids with a live key/value cache: each turn computes only new tokens."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from . import conversation_file
from .answer import Answer, Overflow, Window, limit_of
from .backends.base import Backend, SequenceState
from .chat_format import ChatFormat, encode_continuation
from .conversation_file import Turn
from .generation import Generation, Stream
from .process_lock import ProcessLock
from .sampling import SamplingParams, SamplingSettings
from .tokenizer import Tokenizer

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


@dataclass(frozen=True)
class _History:
    """Never changed in place: a turn works on a fork of the cache and its result replaces the history."""

    ids: tuple[int, ...] = ()
    turns: tuple[Turn, ...] = ()
    sequence: SequenceState | None = None  # holds a beginning of `ids`, all but the newest as a rule

    def cut(self, length: int, n_turns: int) -> _History:
        """The first `length` ids and `n_turns` turns, with a cache of its own."""
        sequence = None if self.sequence is None else self.sequence.fork()
        if sequence is not None:
            sequence.truncate(min(length, sequence.length))
        return _History(self.ids[:length], self.turns[:n_turns], sequence)

    def without(self, dropped: tuple[int, int]) -> _History:
        """Positions [begin, end) have left; changes the cache it was given."""
        begin, end = dropped
        if self.sequence is not None and begin < self.sequence.length:
            self.sequence.discard(begin, min(end, self.sequence.length))
        turns = tuple(turn.after_drop(dropped) for turn in self.turns)
        return _History(self.ids[:begin] + self.ids[end:], turns, self.sequence)


class Conversation:
    """A dialogue with one model; made by `Belle.conversation`. For one thread at a time.

    The history is token ids and is never encoded anew. A finished turn is: the ids of its prompt, then the
    ids the model chose, up to the last whole character before EOS or a stop string; EOS itself and the stop
    string are not part of it. What closes a turn (EOS in belle-v2, nothing in the other families) comes with
    the next prompt: the text that the template puts behind an answer. A token that holds the end of the
    answer and the beginning of a stop string gives way to the tokens of its first part.

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
        self._history = _History()
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

    def send(
        self, text: str, *, max_tokens: int | None = None, **sampling: Unpack[SamplingSettings]
    ) -> Stream:
        """Ask; iterate the stream for the answer. max_tokens, sampling: other than the conversation's own.

        An answer that is still being written is ended first, as if it had been left.
        Raises ValueError for a turn that does not fit into the context, and as `Belle.generate`.
        """
        with self._lock:
            self._settle()
            history = self._history
            new_ids = self._encode(text, is_first=not history.ids)
            history = self._with_room(history.cut(len(history.ids), len(history.turns)), len(new_ids))
            begin = len(history.ids)
            end = begin + len(new_ids)
            turn = Turn(text, "", begin, end, end, end)
            return self._begin(replace(history, ids=(*history.ids, *new_ids)), turn, max_tokens, sampling)

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
            if turn.begin == turn.answer_begin:
                raise ValueError("[conversation] the last message has slid out of the context")
            history = self._history.cut(turn.answer_begin, len(self._history.turns) - 1)
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
            self._history = _History()

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
        conversation._history = _History(saved.ids, saved.turns, sequence)
        conversation._n_drawn = saved.n_drawn
        return conversation

    # ---- one turn

    def _begin(
        self, history: _History, turn: Turn, max_tokens: int | None, sampling: Mapping[str, Any]
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

    def _commit(self, history: _History, turn: Turn, answer: Answer) -> None:
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
        self._history = _History(tuple(ids), tuple(turns), sequence)
        self._n_drawn += 1
        self._current = None

    def _settle(self) -> None:
        """End an answer that is still being written. RuntimeError if another thread is writing it."""
        stream = None if self._current is None else self._current()
        if stream is not None:
            stream.close()
        self._current = None

    def _with_room(self, history: _History, n_new: int) -> _History:
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
        if len(history.ids) + n_new > context:
            raise ValueError(
                f"[conversation] this turn has {n_new} tokens and {len(history.ids)} stand before it, the "
                f"context holds {context}: shorten it, undo or reset, or use overflow='slide'"
            )
        return history

    def _n_kept(self, history: _History) -> int:
        """Tokens at the beginning that never slide out: the first turn, or as much of it as n_keep allows."""
        return min([self._window.n_keep, *(turn.end for turn in history.turns[:1])])

    # ---- parts

    def _encode(self, text: str, *, is_first: bool) -> list[int]:
        if not isinstance(text, str):
            raise ValueError(f"[conversation] expected a message of text, got {text!r}")
        model = self._model
        if not is_first:
            return model.chat_format.encode_next(model.tokenizer, text, limit=model.context)
        system = [] if self.system is None else [{"role": "system", "content": self.system}]
        messages = [*system, {"role": "user", "content": text}]
        return model.chat_format.encode(model.tokenizer, messages, limit=model.context)

    def _set_system(self, system: str | None) -> None:
        if system is not None and not isinstance(system, str):
            raise ValueError(f"[conversation] system: expected text, got {system!r}")
        before, self.system = self.system, system or None
        try:
            self._encode("", is_first=True)  # the template may refuse the role
        except ValueError:
            self.system = before
            raise

    def _last_turn(self) -> Turn:
        if not self._history.turns:
            raise ValueError("[conversation] nothing was said yet")
        return self._history.turns[-1]

    def __repr__(self) -> str:
        return f"Conversation({len(self._history.turns)} turns, {len(self._history.ids)} tokens)"

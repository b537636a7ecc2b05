"""A dialogue that keeps its history as token ids with a live key/value cache: each turn computes only new tokens."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..process_lock import ProcessLock
from ..sampling import SamplingParams
from . import conversation_file
from .answer import Answer, Window, limit_of
from .answer_options import CHAT, AnswerOptions, constraint_of, params_of_call
from .constraint import NAMES
from .conversation_file import Turn
from .dialogue_prompt import DialoguePrompt
from .history import History
from .loaded_model import LoadedModel
from .streams import Generation, Stream
from .turn_answers import OpenTurn, answer_of, asked, asked_again

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .answer_options import TurnSettings


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
        self, model: LoadedModel, *, system: str | None = None, options: AnswerOptions = CHAT
    ) -> None:
        """See `Belle.conversation`."""
        self._model = model
        self._params = options.params
        self._sampling = dict(options.sampling)
        self._constraint = constraint_of(options)
        n_keep = model.context // 4 if options.n_keep is None else options.n_keep
        window = Window(model.context, options.overflow, n_keep)
        self._prompt = DialoguePrompt(model, window, limit_of(options.max_tokens, window))
        self._history = History()
        self._n_drawn = 0  # answers written, regenerated ones included
        self._current: weakref.ref[Stream] | None = None
        self._lock = ProcessLock()
        self._resolved(self._sampling)  # raises early
        self._set_system(system)

    @property
    def system(self) -> str | None:
        """The text that opens the first turn."""
        return self._prompt.system

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
        return self._resolved(self._sampling)

    @property
    def max_tokens(self) -> int:
        """The longest answer, in tokens."""
        return self._prompt.max_tokens

    @property
    def dropped_tokens(self) -> int:
        """Tokens that have left the context because it was full, since the conversation was begun or loaded."""
        return self._history.n_dropped

    def configure(self, *, max_tokens: int | None = None, **sampling: Any) -> None:
        """Other settings from the next answer on; one that is given as None becomes the model's own again.

        max_tokens None: as before. Raises ValueError for a setting out of range, and changes nothing then.
        """
        changed = {name: value for name, value in {**self._sampling, **sampling}.items() if value is not None}
        prompt = self._prompt
        n_tokens = prompt.max_tokens if max_tokens is None else limit_of(max_tokens, prompt.window)
        SamplingParams().merged(**sampling)  # names and values, also of settings that are taken back
        self._resolved(changed)
        self._prompt, self._sampling = replace(prompt, max_tokens=n_tokens), changed

    def send(self, text: str, *, max_tokens: int | None = None, **sampling: Unpack[TurnSettings]) -> Stream:
        """Ask; iterate the stream for the answer. max_tokens, sampling, and what the answer has to be shaped like:
        other than the conversation's own.

        An answer that is still being written is ended first, as if it had been left.
        Raises ValueError for a turn that does not fit into the context, and as `Belle.generate`.
        """
        with self._lock:
            self._settle()
            return self._begin(asked(self._prompt, self._history, text), max_tokens, sampling)

    def say(
        self, text: str, *, max_tokens: int | None = None, **sampling: Unpack[TurnSettings]
    ) -> Generation:
        """As `send`, but returns the whole answer."""
        return self.send(text, max_tokens=max_tokens, **sampling).finish()

    def regenerate(self, *, max_tokens: int | None = None, **sampling: Unpack[TurnSettings]) -> Stream:
        """Answer the last message again; one token of its prompt is computed anew. The old answer goes when
        the new one has begun. Raises ValueError when there is none."""
        with self._lock:
            self._settle()
            self._last_turn()
            return self._begin(asked_again(self._prompt, self._history), max_tokens, sampling)

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
    def load(
        cls, model: LoadedModel, path: str | os.PathLike[str], *, options: AnswerOptions = CHAT
    ) -> Conversation:
        """See `Belle.load_conversation`."""
        saved, state = conversation_file.read(path, model.tokenizer.vocabulary.tokens)
        conversation = cls(model, system=saved.system, options=options)
        if len(saved.ids) > model.context + 1 and not conversation._prompt.window.slides:
            raise ValueError(
                f"[conversation] {os.fspath(path)} has {len(saved.ids)} tokens, the context holds "
                f"{model.context}: use overflow='slide'"
            )
        sequence = conversation_file.restored(model.backend, state, saved.ids)
        conversation._history = History(saved.ids, saved.turns, sequence)
        conversation._n_drawn = saved.n_drawn
        return conversation

    # ---- one turn

    def _begin(self, opened: OpenTurn, max_tokens: int | None, sampling: Mapping[str, Any]) -> Stream:
        """The stream of an answer to the turn."""
        own = {name: value for name, value in sampling.items() if value is not None}
        constraint = constraint_of(own) or self._constraint
        own = {name: value for name, value in own.items() if name not in NAMES}
        params = self._resolved({**self._sampling, **own}, constrained=constraint is not None)
        if params.seed is not None and "seed" not in own:
            params = replace(params, seed=(params.seed + self._n_drawn) % 2**64)
        answer = answer_of(opened, self._prompt, params, max_tokens=max_tokens, constraint=constraint)
        history, turn = opened.history, opened.turn
        stream = Stream(self._model.scheduler, answer, lambda ended: self._commit(history, turn, ended))
        self._current = weakref.ref(stream)
        return stream

    def _commit(self, history: History, turn: Turn, answer: Answer) -> None:
        """The answer has ended, or was left: it becomes the history's last turn, if it has any text or came to
        its own end."""
        if not self._lock.usable or not (answer.finished or answer.text):
            return  # in a forked child the turn is the parent's
        self._history = history.answered(turn, answer, self._model.tokenizer)
        self._n_drawn += 1
        self._current = None

    def _settle(self) -> None:
        """End an answer that is still being written. RuntimeError if another thread is writing it."""
        stream = None if self._current is None else self._current()
        if stream is not None:
            stream.close()
        self._current = None

    # ---- parts

    def _resolved(self, sampling: Mapping[str, Any], *, constrained: bool = False) -> SamplingParams:
        """The settings of an answer with these, over the conversation's params and the model's preset."""
        return params_of_call(
            self._model.chat_format,
            raw=False,
            params=self._params,
            sampling=sampling,
            constrained=constrained,
        )

    def _set_system(self, system: str | None) -> None:
        if system is not None and not isinstance(system, str):
            raise ValueError(f"[conversation] system: expected text, got {system!r}")
        prompt = replace(self._prompt, system=system or None)
        prompt.encode("")  # the template may refuse the role
        self._prompt = prompt

    def _last_turn(self) -> Turn:
        if not self._history.turns:
            raise ValueError("[conversation] nothing was said yet")
        return self._history.turns[-1]

    def __repr__(self) -> str:
        return f"Conversation({len(self._history.turns)} turns, {len(self._history.ids)} tokens)"

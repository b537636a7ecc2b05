"""One answer being written: what goes into the engine next, what text the chosen tokens make, where it ends."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ..backends.base import Backend, SamplerState, ScoredToken, SequenceState
from ..errors import ContextLengthError, excerpt
from ..sampling import SamplingParams
from ..settings import integer
from ..text.assembly import TextAssembler
from ..text.tokenizer import StreamDecoder, Tokenizer
from .constraint import Constraint

FinishReason = Literal["stop", "length", "stop_string"]
Overflow = Literal["error", "slide"]


@dataclass(frozen=True)
class Window:
    """How many tokens a sequence may hold, and what happens when it is full.

    "error": an answer ends there, with finish_reason "length". "slide": the first `n_keep` tokens stay, the
    older half of the rest is dropped, and the answer goes on. Where turns are known whole ones are dropped.
    """

    context: int
    overflow: Overflow = "error"
    n_keep: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.overflow, str) or self.overflow not in get_args(Overflow):
            raise ValueError(f"[context] overflow: expected 'error' or 'slide', got {excerpt(self.overflow)}")
        highest = self.context - 1 if self.slides else None
        object.__setattr__(self, "n_keep", integer("[context] n_keep", self.n_keep, low=0, high=highest))

    @property
    def slides(self) -> bool:
        return self.overflow == "slide"

    def to_drop(self, length: int, turn_starts: Sequence[int] = ()) -> tuple[int, int]:
        """Positions [begin, end) of `length` that leave; never none unless length is within n_keep.

        end: the first turn that starts in the newer half, else the last that starts in the older one, else
        the middle.
        """
        begin = min(self.n_keep, length)
        middle = begin + (length - begin + 1) // 2
        newer = [start for start in turn_starts if middle <= start < length]
        older = [start for start in turn_starts if begin < start < middle]
        return begin, min(newer) if newer else max(older) if older else middle


def moved(position: int, dropped: tuple[int, int]) -> int:
    """Where `position` is after the positions `dropped` [begin, end) have left."""
    begin, end = dropped
    return position if position <= begin else max(begin, position - (end - begin))


@dataclass(frozen=True)
class TokenLogprob:
    """One token of an answer with natural log-probabilities under the model's own distribution (before
    penalties, bias and temperature)."""

    token_id: int
    text: str  # of this token alone; U+FFFD stands for parts of a character
    logprob: float
    top: tuple[tuple[int, str, float], ...]  # (id, text, log-probability) of the most probable tokens

    def to_dict(self) -> dict[str, Any]:
        """For JSON, which has no minus infinity: None stands for it."""
        best = [_scored(*entry) for entry in self.top]
        return {**_scored(self.token_id, self.text, self.logprob), "top": best}


def _scored(token_id: int, text: str, logprob: float) -> dict[str, Any]:
    return {"token_id": token_id, "text": text, "logprob": logprob if math.isfinite(logprob) else None}


class Answer:
    """The state of one answer: the scheduler computes its prompt, then a token at a time until it is `finished`."""

    def __init__(
        self,
        backend: Backend,
        tokenizer: Tokenizer,
        prompt_ids: Sequence[int],
        params: SamplingParams,
        *,
        max_tokens: int | None,
        window: Window,
        sequence: SequenceState | None = None,
        turn_starts: Sequence[int] = (),
        written: Sequence[tuple[int, int]] = (),
        n_resumed: int = 0,
        constraint: Constraint | None = None,
    ) -> None:
        """Nothing is computed yet.

        sequence: one that holds the beginning of the prompt already, but not all of it; None: a new one.
        turn_starts: positions at which turns begin, for a window that slides. written: positions [begin, end) of
        the prompt, ascending, that earlier answers wrote token by token: where they are not in `sequence`, they
        are computed as they were then. n_resumed: so many tokens at the end of the prompt are this answer's own: it
        goes on as if it had never stopped; max_tokens counts those that are new. constraint: what the answer has to be
        shaped like; not for one that goes on.
        Raises ValueError for an empty prompt, one longer than the context, a setting out of range.
        """
        max_tokens = limit_of(max_tokens, window)
        check_length(prompt_ids, window.context)
        params.check_ids(len(tokenizer))
        self.sequence = sequence
        # what the cache holds or will hold: prompt, answer; less what slid out
        self.history = list(prompt_ids)
        self.begin = len(self.history) - n_resumed  # where the answer begins in it
        self.dropped: list[tuple[int, int]] = []  # what slid out, in order
        self._n_gone = 0  # tokens of the answer among that
        self.prompt_tokens = self.begin
        self.prefilled_tokens = 0
        self.ids: list[int] = self.history[self.begin :]
        self.n_resumed = n_resumed
        self.logprobs: list[TokenLogprob] = []
        self.reason: FinishReason | None = None
        self.params = params
        self._backend = backend
        self._tokenizer = tokenizer
        self.context = window.context
        self._window = window
        self._turn_starts = list(turn_starts)
        self._written = list(written)
        # The last token need not be fed.
        n_most = max_tokens + n_resumed
        self._n_limit = n_most if window.slides else min(n_most, window.context - self.begin + 1)
        self._constrained = None if constraint is None else constraint.begin(tokenizer)
        # With a constraint a space at the beginning is one that was demanded.
        self._at_start = constraint is None and all(
            tokenizer.is_special(token_id) for token_id in self.history[: self.begin]
        )
        self._assembler = self.assembler_of(self.ids)
        self._sampler: SamplerState | None = None
        self._sliding: tuple[Any, ...] | None = None  # a slide that was begun
        self._clock = {"start": 0.0, "first": 0.0, "end": 0.0}
        n_plain = self._written[0][0] if self._written else self.prompt_tokens
        # positions of the prompt that any other prompt computes alike
        self.shareable = 0 if sequence is not None else n_plain

    @property
    def most_tokens(self) -> int:
        """Tokens that it may have at most."""
        return self._n_limit

    @property
    def finished(self) -> bool:
        return self.reason is not None

    @property
    def text(self) -> str:
        """All text that is certain by now."""
        return self._assembler.text

    @property
    def seconds(self) -> tuple[float, float]:
        """Until the first token was chosen; from then to the end."""
        clock = self._clock
        return clock["first"] - clock["start"], clock["end"] - clock["first"]

    @property
    def prepared(self) -> bool:
        """Whether `prepare` was called."""
        return self._sampler is not None

    @property
    def n_computed(self) -> int:
        """Tokens that its sequence holds."""
        return 0 if self.sequence is None else self.sequence.length

    @property
    def remaining(self) -> int:
        """Tokens of the prompt that are not computed yet."""
        return len(self.history) - self.n_computed

    def prepare(self, beginning: SequenceState | None = None) -> None:
        """Before anything is computed. beginning: a sequence of this answer's own that holds the prompt's first
        `shareable` tokens or fewer, as a prompt's."""
        self._clock["start"] = time.perf_counter()
        if self.sequence is None:
            self.sequence = self._backend.new_sequence() if beginning is None else beginning
        self.prefilled_tokens = len(self.history) - self.sequence.length
        sampler = self._backend.new_sampler(self.params)
        if self.params.penalty_scope == "all":
            sampler.accept(self.history[: self.begin])
        if self.ids:
            sampler.resume(self.ids)
        self._allow_next(sampler)
        self._sampler = sampler

    def prompt_piece(self, n_tokens: int) -> tuple[list[int], bool]:
        """The next tokens of the prompt that one pass can compute, at most `n_tokens`; and whether they were decoded
        when an earlier answer wrote them, and are so again."""
        assert self.sequence is not None
        position = self.sequence.length
        for begin, end in self._written:
            for stop, decode in ((begin, False), (end, True)):
                if position < stop:
                    return self.history[position : min(stop, position + n_tokens)], decode
        return self.history[position : position + n_tokens], False

    def entry(self, ids: list[int]) -> tuple[SequenceState, list[int], SamplerState]:
        """This answer in a pass that feeds it `ids` and chooses its next token."""
        assert self.sequence is not None
        assert self._sampler is not None
        return self.sequence, ids, self._sampler

    def next_entry(self) -> tuple[SequenceState, list[int], SamplerState]:
        """`entry` with the token that was chosen last."""
        return self.sequence, self.history[-1:], self._sampler  # type: ignore[return-value]

    @property
    def is_full(self) -> bool:
        """Whether `make_room` has to come before the next pass; what was written then cannot be taken back."""
        return len(self.history) > self.context

    def make_room(self) -> None:
        """Slide. A call that was interrupted is brought to its end by the next one."""
        sequence = self.sequence
        assert sequence is not None
        if self._sliding is None:
            dropped = self._window.to_drop(sequence.length, self._turn_starts)
            self._sliding = (dropped, sequence.length, *self._after(dropped))
        dropped, length, *after = self._sliding
        if sequence.length == length:
            sequence.discard(*dropped)
        self.history, self.begin, self._n_gone, self._turn_starts, self.dropped = after
        self._sliding = None

    def accept(self, token_id: int) -> str:
        """Take the token that was chosen; returns the text that became certain, maybe empty."""
        if not self._clock["first"]:
            self._clock["first"] = time.perf_counter()
        piece = ""
        if token_id in self._tokenizer.vocabulary.end_ids:
            self.reason = "stop"
        else:
            self.ids.append(token_id)
            self.history.append(token_id)
            piece = self._assembler.push(token_id)
            if self._assembler.stopped:
                self.reason = "stop_string"
            elif self._constrained is not None and self._constrained.complete_after(self.ids):
                self.reason = "stop"
            elif len(self.ids) == self._n_limit:
                self.reason = "length"
        if self.finished:
            piece += self._assembler.flush()
            self._clock["end"] = time.perf_counter()
        elif self._sampler is not None:
            self._allow_next(self._sampler)
        return piece

    def score(self, token: ScoredToken) -> None:
        """Note the log-probabilities of the token that was accepted last, if they were asked for."""
        if self.params.top_logprobs is None or token.token_id in self._tokenizer.vocabulary.end_ids:
            return
        top = token.top[: self.params.top_logprobs]
        self.logprobs.append(
            TokenLogprob(
                token.token_id,
                self._text_of(token.token_id),
                token.logprob,
                tuple((token_id, self._text_of(token_id), logprob) for token_id, logprob in top),
            )
        )

    def spoken(self) -> tuple[list[int], str]:
        """The history up to the last token whose text lies wholly in the answer, and the text of a token that
        a stop string cut in two."""
        n_kept, rest = self._assembler.whole_tokens()
        return self.history[: self.begin + max(0, n_kept - self._n_gone)], rest

    def take_back(self, n_ids: int) -> None:
        """Forget the tokens that were chosen after the first `n_ids`, their texts and log-probabilities, and that the
        answer has ended. Not across a slide."""
        del self.ids[n_ids:], self.logprobs[n_ids:]
        del self.history[max(0, self.begin + n_ids - self._n_gone) :]
        self.reason = None
        self._assembler = self.assembler_of(self.ids)

    def _allow_next(self, sampler: SamplerState) -> None:
        """Restrict the next choice to what the constraint, if there is one, lets follow."""
        if self._constrained is not None:
            sampler.allow(self._constrained.allowed_after(self.ids))

    def shorten_sequence(self) -> None:
        """Have the cache hold no more than where the answer stands: all tokens but the last that was chosen."""
        length = len(self.history) - (1 if self.ids else 0)
        if self.sequence is not None and self.sequence.length > length:
            self.sequence.truncate(length)

    def _after(self, dropped: tuple[int, int]) -> tuple[Any, ...]:
        """history, begin, _n_gone, _turn_starts and dropped without these positions."""
        first, last = dropped
        history = self.history[:first] + self.history[last:]
        begin = moved(self.begin, dropped)
        n_gone = self._n_gone + (len(self.history) - self.begin) - (len(history) - begin)
        turn_starts = [moved(start, dropped) for start in self._turn_starts]
        return history, begin, n_gone, turn_starts, [*self.dropped, dropped]

    def assembler_of(self, ids: Sequence[int]) -> TextAssembler:
        """One that has put together the text of these tokens at the beginning of an answer. By any thread."""
        assembler = TextAssembler(StreamDecoder(self._tokenizer, at_start=self._at_start), self.params.stop)
        for token_id in ids:
            assembler.push(token_id)
        return assembler

    def _text_of(self, token_id: int) -> str:
        return self._tokenizer.token_bytes(token_id).decode("utf-8", "replace")


def limit_of(max_tokens: int | None, window: Window) -> int:
    """Tokens of an answer at most; None: up to the end of the context.

    ValueError unless it is None or an integer from 1, and for None where the context never ends.
    """
    if max_tokens is not None:
        return integer("[generate] max_tokens", max_tokens, low=1)
    if window.slides:
        raise ValueError(
            "[generate] max_tokens: expected an integer from 1, got None: with overflow='slide' the context never "
            "ends an answer"
        )
    return window.context + 1  # as many as fit beside any prompt


def check_length(ids: Sequence[int], context: int) -> None:
    """ValueError unless there are 1 to `context` ids."""
    if len(ids) == 0:
        raise ValueError(
            "[generate] the prompt is empty and the tokenizer adds no BOS token: nothing to start from"
        )
    if len(ids) > context:
        raise ContextLengthError(
            f"[generate] the prompt has {len(ids)} tokens, the context holds {context}: shorten the prompt"
        )

"""One answer being written: what goes into the engine next, what text the chosen tokens make, where it ends."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ..backends.base import Backend, SamplerState, ScoredToken, SequenceState
from ..errors import excerpt
from ..sampling import SamplingParams
from ..settings import integer
from ..text.assembly import TextAssembler
from ..text.tokenizer import StreamDecoder, Tokenizer

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
    """The state of one answer. The caller runs `advance` until `finished`; several answers share a pass."""

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
    ) -> None:
        """Nothing is computed yet.

        sequence: one that holds the beginning of the prompt already, but not all of it; None: a new one.
        turn_starts: positions at which turns begin, for a window that slides. written: positions [begin, end) of
        the prompt, ascending, that earlier answers wrote token by token: where they are not in `sequence`, they
        are computed as they were then.
        Raises ValueError for an empty prompt, one longer than the context, a setting out of range.
        """
        max_tokens = limit_of(max_tokens, window)
        check_length(prompt_ids, window.context)
        params.check_ids(len(tokenizer))
        self.sequence = sequence
        self.history = list(
            prompt_ids
        )  # what the cache holds or will hold: prompt, answer; less what slid out
        self.begin = len(self.history)  # where the answer begins in it
        self.dropped: list[tuple[int, int]] = []  # what slid out, in order
        self._n_gone = 0  # tokens of the answer among that
        self.prompt_tokens = len(self.history)
        self.prefilled_tokens = 0
        self.ids: list[int] = []
        self.logprobs: list[TokenLogprob] = []
        self.reason: FinishReason | None = None
        self.params = params
        self._backend = backend
        self._tokenizer = tokenizer
        self._window = window
        self._turn_starts = list(turn_starts)
        self._written = list(written)
        # The last token need not be fed.
        self._n_limit = max_tokens if window.slides else min(max_tokens, window.context - self.begin + 1)
        at_start = all(tokenizer.is_special(token_id) for token_id in self.history)
        self._assembler = TextAssembler(StreamDecoder(tokenizer, at_start=at_start), params.stop)
        self._sampler: SamplerState | None = None
        self._clock = {"start": 0.0, "first": 0.0, "end": 0.0}

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
    def decodes(self) -> bool:
        """Whether the next pass is for a token that the model chose, rather than for the prompt."""
        return len(self.ids) > 0

    def entry(self) -> tuple[SequenceState, list[int], SamplerState]:
        """What the next pass needs of this answer; makes room first where the context is full."""
        if self._sampler is None:
            self._clock["start"] = time.perf_counter()
            self._sampler = self._backend.new_sampler(self.params)
            if self.params.penalty_scope == "all":
                self._sampler.accept(self.history)
            if self.sequence is None:
                self.sequence = self._backend.new_sequence()
            self.prefilled_tokens = len(self.history) - self.sequence.length
        assert self.sequence is not None
        if not self.decodes:
            self._compute_earlier_answers(self.sequence)
        if len(self.history) > self._window.context:
            self._slide(self.sequence)
        return self.sequence, self.history[self.sequence.length :], self._sampler

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
            elif len(self.ids) == self._n_limit:
                self.reason = "length"
        if self.finished:
            piece += self._assembler.flush()
            self._clock["end"] = time.perf_counter()
        return piece

    def score(self, token: ScoredToken) -> None:
        """Note the log-probabilities of the token that was accepted last, if they were asked for."""
        if self.params.top_logprobs is None or self.reason == "stop":
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

    def _compute_earlier_answers(self, sequence: SequenceState) -> None:
        """What the sequence lacks, up to the last token that an earlier answer wrote."""
        for begin, end in self._written:
            for stop, decode in ((begin, False), (end, True)):
                piece = self.history[sequence.length : stop]
                if piece:
                    self._backend.forward([(sequence, piece)], logits="none", decode=decode)

    def _slide(self, sequence: SequenceState) -> None:
        dropped = self._window.to_drop(sequence.length, self._turn_starts)
        sequence.discard(*dropped)
        del self.history[slice(*dropped)]
        n_before = len(self.history) + dropped[1] - dropped[0] - self.begin
        self.begin = moved(self.begin, dropped)
        self._n_gone += n_before - (len(self.history) - self.begin)
        self._turn_starts = [moved(start, dropped) for start in self._turn_starts]
        self.dropped.append(dropped)

    def _text_of(self, token_id: int) -> str:
        return self._tokenizer.token_bytes(token_id).decode("utf-8", "replace")


def advance(backend: Backend, answers: Sequence[Answer]) -> list[str]:
    """One pass over all `answers`, prefill and decode mixed: the text that each one gained."""
    batch = [answer.entry() for answer in answers]
    decode = [answer.decodes for answer in answers]
    wanted = [answer.params.top_logprobs for answer in answers if answer.params.top_logprobs is not None]
    if not wanted:
        chosen = backend.forward_sample(batch, decode=decode)
        return [answer.accept(token_id) for answer, token_id in zip(answers, chosen, strict=True)]
    pieces = []
    scored = backend.forward_sample_scored(batch, top_logprobs=max(wanted), decode=decode)
    for answer, token in zip(answers, scored, strict=True):
        pieces.append(answer.accept(token.token_id))
        answer.score(token)
    return pieces


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
        raise ValueError(
            f"[generate] the prompt has {len(ids)} tokens, the context holds {context}: shorten the prompt"
        )

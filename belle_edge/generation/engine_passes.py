"""The scheduler's passes through the engine: prompts in pieces, then one token for each answer; one that fails fails
alone, and one that Ctrl-C interrupts is brought to its end by whoever leads next."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from ..backends.base import Backend, ScoredToken
from .common_beginnings import common_length
from .passes import WHOLE, PassTimes, shared_out
from .prefixes import Prefixes, beginning_of
from .prompt_parts import Part, Piece
from .request_state import Request

_LONG = 64  # rows of a pass that is worth resting where nobody waits
_ARRIVED_S = 0.02  # of a pass that rests for a request that has arrived
_TURNS = 4  # one in so many passes for prompts is for the oldest one first
_EVERY = 8  # which of the passes without prompts are timed


class _Choices:
    """A pass that chooses tokens: what came of it is here before anything can interrupt whoever learns of it."""

    __slots__ = ("begun", "n_before", "n_settled", "outcomes", "requests", "scored")

    def __init__(self, requests: list[Request], n_before: list[int], *, scored: bool) -> None:
        self.requests = requests
        self.n_before = n_before  # tokens of each answer
        self.scored = scored
        self.outcomes: list[Any] = []  # a token or an exception for each request, all at once
        self.begun = -1  # the request whose token is being accepted
        self.n_settled = 0


class EnginePasses:
    """Used by one thread at a time."""

    def __init__(self, backend: Backend, prefixes: Prefixes, has_arrivals: Callable[[], bool]) -> None:
        """has_arrivals: whether a request waits that a long pass for a single one should rest for."""
        self.n_ended = 0  # requests that ended since the scheduler set it to 0
        self._backend = backend
        self._prefixes = prefixes
        self._has_arrivals = has_arrivals
        self._n_layers = int(backend.config.get("n_layers", 1))
        self._times = PassTimes(can_rest=backend.new_rest() is not None)
        self._n_passes = 0
        self._n_parts = 0  # passes for parts of prompts
        self._prompts_next = False  # whose turn it is
        self._parts: list[Part] = []  # of prompts: those that rest
        self._tokens_due = (
            0.0  # when the next tokens of answers should be computed, if prompts come before them
        )
        # What is in the pass. Where that was interrupted they stay here, and `settle` comes next.
        self.held: Sequence[Request] = ()
        self._choices: _Choices | None = None

    def run(self, requests: list[Request], running: Sequence[Request]) -> bool:
        """One pass for `requests`, some of all that are `running`; whether there was anything to compute."""
        self._n_passes += 1
        self.held = requests
        decoding = len(requests) > 0
        for request in requests:
            request.in_pass = True
            if request.left or request.prefilling:  # in this order: see Scheduler.leave
                decoding = False
        if decoding:
            self._prompts_next = False
            self._choose(requests, [])
        else:
            self._run_with_prompts([request for request in requests if not request.left], running)
        self.settle()
        return len(requests) > 0

    def settle(self) -> None:
        """Hand out what the last pass chose, and the answers back to their readers."""
        self._settle_choices()
        for request in self.held:
            request.in_pass = False
            if request.left:
                request.reader.signal.set()
        self.held = ()

    def _settle_choices(self) -> None:
        choices = self._choices
        if choices is None:
            return
        for index in range(choices.n_settled, len(choices.outcomes)):
            request = choices.requests[index]
            if choices.begun != index or _undone(request, choices.n_before[index]):
                choices.begun = index
                self._deliver(request, choices.outcomes[index], scored=choices.scored)
            choices.n_settled = index + 1
        self._choices = None

    # ---- prompts

    def _run_with_prompts(self, requests: list[Request], running: Sequence[Request]) -> None:
        """By turns a token for each answer that can have one, and a part of the prompts."""
        prompts = [request for request in requests if request.prefilling]
        ready = [request for request in prompts if self._is_ready(request, prompts, running)]
        decoding = [request for request in requests if not request.prefilling]
        if ready and (self._prompts_next or not decoding):
            self._prompts_next = False
            alone = len(running) == 1
            self._run_part(self._next_part(ready, len(decoding), alone=alone), len(decoding), alone=alone)
        elif decoding:
            self._prompts_next = len(ready) > 0
            self._choose(decoding, [])
            self._tokens_due = time.perf_counter() + self._times.part_s(len(decoding))
        for request in ready:
            self._prefixes.computed(request.answer)

    def _is_ready(self, request: Request, prompts: Sequence[Request], running: Sequence[Request]) -> bool:
        """Whether its prompt can go on; false while an earlier one computes enough of its beginning."""
        answer = request.answer
        if answer.prepared:
            return True
        if answer.sequence is not None:
            return self._prepare(request, 0, None)
        others = [other.answer for other in running if other is not request]
        length, source = self._prefixes.find(answer, others, request.loaded)
        for other in prompts:
            if other is request:
                break
            most = min(answer.shareable, answer.prompt_tokens - 1, other.answer.shareable)
            coming = common_length(other.answer.history, answer.history, most)
            if other.error is None and coming - length >= request.worth_waiting:
                return False
        return self._prepare(request, length, source)

    def _prepare(self, request: Request, length: int, source: Any) -> bool:
        """Whether it can begin; where it cannot its error says why."""
        answer = request.answer
        try:
            beginning = None if source is None else beginning_of(source, answer.history, length)
            answer.prepare(beginning)
        except Exception as error:
            self._end(request, error)
            return False
        return True

    def _next_part(self, ready: list[Request], n_decoding: int, *, alone: bool) -> Part:
        """What comes next: of the prompt that ends soonest, by turns the oldest; ends of others come along."""
        oldest_first = self._n_parts % _TURNS == _TURNS - 1
        self._n_parts += 1
        first = ready[0] if oldest_first else min(ready, key=lambda request: request.answer.remaining)
        self._parts = [part for part in self._parts if part.is_whole]
        for part in self._parts:
            if first in part.requests:
                if all(request in ready for request in part.requests):
                    return part
                self._forget(part)
                break
        begun = [request for part in self._parts for request in part.requests]
        others = [request for request in ready if request not in begun]
        remaining = [request.answer.remaining for request in others]
        rows = WHOLE if alone else self._times.rows_beside(n_decoding)
        pieces: list[Piece] = []
        ends: list[Piece] = []
        for request, size in zip(others, shared_out(remaining, rows, oldest_first=oldest_first), strict=True):
            if size > 0:
                ids, decode = request.answer.prompt_piece(size)
                is_end = len(ids) == request.answer.remaining
                (ends if is_end else pieces).append(Piece(request, ids, decode, request.answer.n_computed))
        candidates = ends or pieces
        of_one_phase = [piece for piece in candidates if piece.decode == candidates[0].decode]
        new = Part(of_one_phase, ends=len(ends) > 0)
        if not alone or new.n_rows >= _LONG:
            new.rest = self._backend.new_rest()
        self._parts.append(new)
        return new

    def _run_part(self, part: Part, n_decoding: int, *, alone: bool) -> None:
        """Compute it, or some more layers of it."""
        if part.rest is not None:
            part.is_due = self._rest_due(part, n_decoding, alone=alone)
        if part.ends:
            self._choose(part.requests, [piece.ids for piece in part.pieces], part)
        else:
            self._compute(part)

    def _compute(self, part: Part) -> None:
        """Pieces of prompts that are not their ends."""
        batch: Any = [(piece.request.answer.sequence, piece.ids) for piece in part.pieces]
        decode = part.pieces[0].decode
        started = time.perf_counter()
        try:
            done = self._backend.forward(
                batch, logits="none", decode=decode, stop=part.is_due, resting=part.rest
            )
        except Exception as error:
            self._forget(part)
            if len(part.pieces) == 1:
                self._end(part.pieces[0].request, error)
                return
            for piece in part.pieces:
                self._compute(Part([piece], ends=False))
            return
        self._note(part, started, done=len(done) > 0)

    def _note(self, part: Part, started: float, *, done: bool) -> None:
        """After a pass for it: time, and whether that was all of it."""
        part.seconds += time.perf_counter() - started
        if done:
            if not part.pieces[0].decode:
                self._times.add(part.n_rows, 0, part.seconds)
            self._forget(part)
            self._tell_progress(part, 1.0)

    def _tell_progress(self, part: Part, share: float) -> None:
        """To those who want to know how much of their prompts is computed. share: of the part, that is done. It may be
        called in the middle of a pass, which no sequence may be asked about."""
        for piece in part.pieces:
            request = piece.request
            if request.on_progress is not None:
                n_done = piece.position + int(share * len(piece.ids))
                request.on_progress(n_done, len(request.answer.history))

    def _forget(self, part: Part) -> None:
        """It is done, or given up: its requests are free for another part."""
        self._parts = [other for other in self._parts if other is not part]

    def _rest_due(self, part: Part, n_decoding: int, *, alone: bool) -> Callable[[], bool]:
        """When a pass for prompts rests: others wait for their next token, or a request has arrived. It is asked after
        each layer, so progress is told from here, too."""
        before = began = time.perf_counter()
        until = self._tokens_due if n_decoding else began + self._times.part_s(0)
        n_layers = part.rest.n_layers

        def is_due() -> bool:
            nonlocal before, n_layers
            now, layer_s = time.perf_counter(), time.perf_counter() - before
            before = now
            n_layers += 1
            self._tell_progress(part, n_layers / self._n_layers)
            if now > began + _ARRIVED_S and self._has_arrivals():
                self._prompts_next = True  # the one that arrived may be short: it need not wait for a turn
                return True
            return not alone and now + layer_s > until

        return is_due

    # ---- tokens

    def _choose(self, requests: list[Request], last_ids: list[list[int]], part: Part | None = None) -> None:
        """The next token of each request: first those whose prompts end with `last_ids`, then the others.

        part: what these ends are, where the pass may rest.
        """
        batch, n_before, n_last, top = [], [], len(last_ids), -1
        for index, request in enumerate(requests):
            answer = request.answer
            if index < n_last:
                batch.append(answer.entry(last_ids[index]))
            else:
                if len(answer.history) > answer.context and not self._made_room(request):
                    continue
                batch.append(answer.next_entry())
            n_before.append(len(answer.ids))
            if request.top_logprobs > top:
                top = request.top_logprobs
        if len(batch) < len(requests):
            requests = [request for request in requests if not request.ended]
            if not requests:
                return
        choices = self._choices = _Choices(requests, n_before, scored=top >= 0)
        decode: Any = True
        if n_last:
            ends_decode = part is not None and part.pieces[0].decode
            decode = [ends_decode or index >= n_last for index in range(len(requests))]
        timed = part is not None or self._prompts_next or self._n_passes % _EVERY == 0
        started = time.perf_counter() if timed else 0.0
        stop, resting = (None, None) if part is None else (part.is_due, part.rest)
        try:
            if top >= 0:
                self._backend.forward_sample_scored(
                    batch,
                    top_logprobs=top,
                    decode=decode,
                    outcomes=choices.outcomes,
                    stop=stop,
                    resting=resting,
                )
            else:
                self._backend.forward_sample(
                    batch, decode=decode, outcomes=choices.outcomes, stop=stop, resting=resting
                )
        except Exception as error:
            self._choices = None
            if part is not None:
                self._forget(part)
            self._choose_each(requests, last_ids, error, part)
            return
        if part is not None:
            self._note(part, started, done=len(choices.outcomes) > 0)
        elif timed and not n_last:
            self._times.add(0, len(requests), time.perf_counter() - started)

    def _made_room(self, request: Request) -> bool:
        """Slide its window; where that cannot be done its error says why."""
        try:
            request.answer.make_room()
        except Exception as error:
            self._end(request, error)
            return False
        return True

    def _choose_each(
        self, requests: list[Request], last_ids: list[list[int]], error: Exception, part: Part | None
    ) -> None:
        """After an error in a pass that left everything as it was: each by itself, so that it meets its cause alone."""
        if len(requests) == 1:
            self._end(requests[0], error)
            return
        for index, request in enumerate(requests):
            alone = part.of(request) if part is not None and index < len(last_ids) else None
            self._choose([request], last_ids[index : index + 1], alone)
            self._settle_choices()

    def _deliver(self, request: Request, outcome: Any, *, scored: bool) -> None:
        """The token that was chosen, or why there is none."""
        if isinstance(outcome, Exception):
            self._end(request, outcome)
            return
        answer = request.answer
        piece = answer.accept(outcome[0] if scored else outcome)
        if scored:
            answer.score(ScoredToken(*outcome))
        request.prefilling = False
        request.last_pass = self._n_passes
        finished = answer.reason is not None
        if piece and not request.whole:
            request.pieces.append((piece, len(answer.ids), finished))
            request.reader.wake()
        if piece and request.on_piece is not None:
            self._tell(request, piece)
        if finished and not request.ended:
            self._end(request, None)

    def _end(self, request: Request, error: Exception | None) -> None:
        request.error = error
        answer = request.answer
        if error is None:
            self._prefixes.offer(answer, request.loaded)
        if not request.keeps_sequence:
            answer.sequence = None  # lets go of its memory
        request.loaded = None
        self.n_ended += 1
        request.ended = True
        request.reader.wake()
        self._tell(request, None)

    def _tell(self, request: Request, piece: str | None) -> None:
        """Call `on_piece`; where that fails nobody else suffers, and nothing more is told."""
        if request.on_piece is None:
            return
        try:
            request.on_piece(piece)
        except Exception as error:
            request.on_piece = None
            if not request.ended:
                self._end(request, error)


def _undone(request: Request, n_ids: int) -> bool:
    """Take back what an interrupted thread began to accept; False where it came far enough for others to have seen."""
    if request.ended or request.n_given > n_ids:
        return False
    while request.pieces and request.pieces[-1][1] > n_ids:
        request.pieces.pop()
    request.answer.take_back(n_ids)
    return True

"""Many answers at once, each handed over as soon as it is finished, from prompts that are taken as there is room."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from .answer import Answer, advance
from .backends.base import Backend, SequenceState
from .batch import common_prefix
from .generation import Generation, Stream, result_of
from .settings import integer


def stream_batch(
    backend: Backend, answers: Iterable[Answer | Exception], *, max_batch: int = 16
) -> Iterator[tuple[int, Generation | Exception]]:
    """Write `answers`, at most `max_batch` at a time: pairs of index and result, in the order they finish.

    answers: consumed one by one, whenever there is room; an exception among them stands for a prompt that was
    refused, and comes out again under its index. Each result is the same, bit for bit, as alone. What the first
    `max_batch` prompts begin with is computed once; it counts as prefilled for the first of them. Closing the
    generator lets go of all memory. Raises ValueError for max_batch, and what a pass of the engine raises.
    """
    max_batch = integer("[batch] max_batch", max_batch, low=1)
    waiting = enumerate(answers)
    first = list(islice(waiting, max_batch))
    shared = _Shared(backend, [answer for _, answer in first if isinstance(answer, Answer)])
    running: list[tuple[int, Answer]] = []
    try:
        while True:
            while len(running) < max_batch:
                entry = first.pop(0) if first else next(waiting, None)
                if entry is None:
                    break
                index, answer = entry
                if isinstance(answer, Exception):
                    yield index, answer
                    continue
                answer.sequence = shared.sequence_for(answer)
                running.append((index, answer))
            if not running:
                return
            advance(backend, [answer for _, answer in running])
            finished = [entry for entry in running if entry[1].finished]
            running = [entry for entry in running if not entry[1].finished]
            for index, answer in finished:
                answer.sequence = None  # lets go of its memory
                answer.prefilled_tokens += shared.computed_for(answer)
                yield index, result_of(answer)
    finally:
        for _, answer in running:
            answer.sequence = None


def answer_of(stream: Stream) -> Answer:
    """The answer that a stream would write, for `stream_batch`: checked, nothing computed yet."""
    return stream._answer


class _Shared:
    """The beginning that the first prompts have in common, computed once."""

    def __init__(self, backend: Backend, answers: Sequence[Answer]) -> None:
        n_shared = common_prefix([answer.history for answer in answers]) if len(answers) > 1 else 0
        self._backend = backend
        self._ids = answers[0].history[:n_shared] if n_shared else []
        self._first = answers[0] if answers else None
        self._sequence: SequenceState | None = None

    def sequence_for(self, answer: Answer) -> SequenceState:
        """A sequence that holds the shared beginning where the prompt has it, and more than that."""
        n_shared = len(self._ids)
        if not n_shared or len(answer.history) <= n_shared or answer.history[:n_shared] != self._ids:
            return self._backend.new_sequence()
        if self._sequence is None:
            self._sequence = self._backend.new_sequence()
            self._backend.forward([(self._sequence, self._ids)], logits="none")
        return self._sequence.fork()

    def computed_for(self, answer: Answer) -> int:
        """Tokens of the shared beginning that count for `answer`."""
        return len(self._ids) if answer is self._first else 0

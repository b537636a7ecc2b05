"""Many prompts at once: one pass per step for all that are being answered, whatever their progress."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Literal, get_args

from .answer import Answer, advance
from .backends.base import Backend, SequenceState
from .generation import Generation, result_of
from .settings import integer, shown

Errors = Literal["raise", "return"]
Progress = Callable[[int, int], None]  # (answers finished, answers in all)


def checked_errors(errors: Errors) -> Errors:
    """What becomes of a prompt that cannot be answered. ValueError unless it is "raise" or "return"."""
    if not isinstance(errors, str) or errors not in get_args(Errors):
        raise ValueError(f"[batch] errors: expected 'raise' or 'return', got {shown(errors)}")
    return errors


def run_batch(
    backend: Backend,
    answers: Sequence[Answer],
    *,
    max_batch: int,
    on_finished: Callable[[], None] | None = None,
) -> list[Generation]:
    """Write all `answers`, at most `max_batch` at a time; a finished one makes room for the next.

    The beginning that all prompts share is computed once; it counts as prefilled for the first of them.
    on_finished: called once for each answer that ends.
    """
    results = []
    for result in _run(backend, answers, max_batch, on_finished or (lambda: None), None):
        assert isinstance(result, Generation)  # without `again` an error is raised
        results.append(result)
    return results


def answer_all(
    backend: Backend,
    answer_of: Callable[[int], Answer],
    n_prompts: int,
    *,
    max_batch: int,
    on_progress: Progress | None,
    errors: Errors,
) -> Sequence[Generation | ValueError]:
    """The answers to prompts 0 to n_prompts - 1; with errors="return" a ValueError where there is none.

    answer_of: makes an answer, or raises ValueError for a prompt that has none. All are made before anything is
    computed; some once more, where another one fails in a pass that they share.
    """
    made: dict[int, Answer] = {}
    refused: dict[int, ValueError] = {}
    for index in range(n_prompts):
        try:
            made[index] = answer_of(index)
        except ValueError as error:
            if errors == "raise":
                raise
            refused[index] = error
    places, answers, n_finished = list(made), list(made.values()), len(refused)

    def count() -> None:
        nonlocal n_finished
        n_finished += 1
        if on_progress is not None:
            on_progress(n_finished, n_prompts)

    if errors == "raise":
        return run_batch(backend, answers, max_batch=max_batch, on_finished=count)
    written = _run(backend, answers, max_batch, count, lambda position: answer_of(places[position]))
    results = {**refused, **dict(zip(places, written, strict=True))}
    return [results[index] for index in range(n_prompts)]


def _run(
    backend: Backend,
    answers: Sequence[Answer],
    max_batch: int,
    on_finished: Callable[[], None],
    again: Callable[[int], Answer] | None,
) -> list[Generation | ValueError]:
    """As `run_batch`. again: makes the answer of an index anew; with it, a ValueError in a pass is the result of
    the answer that causes it, and those that shared the pass are written alone."""
    max_batch = integer("[batch] max_batch", max_batch, low=1)
    n_shared = common_prefix([answer.history for answer in answers]) if len(answers) > 1 else 0
    shared = backend.new_sequence()
    if n_shared:
        backend.forward([(shared, answers[0].history[:n_shared])], logits="none")
    waiting = deque(answers)
    running: list[Answer] = []
    results: dict[int, Generation | ValueError] = {}
    while waiting or running:
        while waiting and len(running) < max_batch:
            running.append(waiting.popleft())
            running[-1].sequence = shared.fork()
        try:
            advance(backend, running)
        except ValueError:
            if again is None:
                raise
            for answer in running:  # samplers may have moved on: each begins anew, with the same settings
                results[id(answer)] = _alone(backend, again(answers.index(answer)), shared)
                on_finished()
            running = []
        for answer in [answer for answer in running if answer.finished]:
            running.remove(answer)
            answer.sequence = None  # lets go of its memory
            answer.prefilled_tokens += n_shared if answer is answers[0] else 0
            results[id(answer)] = result_of(answer)
            on_finished()
    return [results[id(answer)] for answer in answers]


def _alone(backend: Backend, answer: Answer, shared: SequenceState) -> Generation | ValueError:
    answer.sequence = shared.fork()
    try:
        while not answer.finished:
            advance(backend, [answer])
    except ValueError as error:
        return error
    finally:
        answer.sequence = None  # lets go of its memory
    return result_of(answer)


def common_prefix(prompts: Sequence[Sequence[int]]) -> int:
    """Tokens that all prompts begin with; at least one token of each is left out, for its own pass."""
    longest = min((len(prompt) for prompt in prompts), default=1) - 1
    alike = (len(set(ids)) == 1 for ids in zip(*(prompt[:longest] for prompt in prompts), strict=True))
    return sum(takewhile(bool, alike))

"""Many prompts at once: one pass per step for all that are being answered, whatever their progress."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import takewhile

from .answer import Answer, advance
from .backends.base import Backend
from .generation import Generation, result_of
from .settings import integer


def run_batch(backend: Backend, answers: Sequence[Answer], *, max_batch: int) -> list[Generation]:
    """Write all `answers`, at most `max_batch` at a time; a finished one makes room for the next.

    The beginning that all prompts share is computed once; it counts as prefilled for the first of them.
    """
    max_batch = integer("[batch] max_batch", max_batch, low=1)
    n_shared = common_prefix([answer.history for answer in answers]) if len(answers) > 1 else 0
    shared = backend.new_sequence()
    if n_shared:
        backend.forward([(shared, answers[0].history[:n_shared])], logits="none")
    waiting = deque(answers)
    running: list[Answer] = []
    results: dict[int, Generation] = {}
    while waiting or running:
        while waiting and len(running) < max_batch:
            running.append(waiting.popleft())
            running[-1].sequence = shared.fork()
        advance(backend, running)
        for answer in [answer for answer in running if answer.finished]:
            running.remove(answer)
            answer.sequence = None  # lets go of its memory
            answer.prefilled_tokens += n_shared if answer is answers[0] else 0
            results[id(answer)] = result_of(answer)
    return [results[id(answer)] for answer in answers]


def common_prefix(prompts: Sequence[Sequence[int]]) -> int:
    """Tokens that all prompts begin with; at least one token of each is left out, for its own pass."""
    longest = min((len(prompt) for prompt in prompts), default=1) - 1
    alike = (len(set(ids)) == 1 for ids in zip(*(prompt[:longest] for prompt in prompts), strict=True))
    return sum(takewhile(bool, alike))

"""Many prompts at once: one pass per step for all that are being answered, whatever their progress."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice, takewhile
from typing import Any, Literal, get_args

from ..backends.base import Backend, SequenceState
from ..errors import excerpt
from ..sampling import SamplingParams
from ..settings import integer
from .answer import Answer, Window, advance, limit_of
from .answer_options import BatchOptions, Progress, params_of_call
from .loaded_model import LoadedModel
from .prompt_ids import prompt_ids
from .streams import Generation, result_of

Errors = Literal["raise", "return"]


def checked_errors(errors: Errors) -> Errors:
    """What becomes of a prompt that cannot be answered. ValueError unless it is "raise" or "return"."""
    if not isinstance(errors, str) or errors not in get_args(Errors):
        raise ValueError(f"[batch] errors: expected 'raise' or 'return', got {excerpt(errors)}")
    return errors


def answer_prompts(
    model: LoadedModel, prompts: Iterable[str | Sequence[int]], options: BatchOptions, *, errors: Errors
) -> Sequence[Generation | ValueError]:
    """See `Belle.generate_batch`."""
    checked_errors(errors)
    asked = _prompts(prompts)
    each = _params_of_each(options.params, len(asked))
    window = Window(model.context)
    limit_of(options.max_tokens, window)  # what concerns all prompts is raised whatever `errors` says
    SamplingParams().merged(**options.sampling)

    def answer_of(index: int) -> Answer:
        try:
            ids = prompt_ids(model, asked[index], raw=options.raw)
            params = params_of_call(
                model.chat_format, raw=options.raw, params=each[index], sampling=options.sampling
            )
            if params.seed is not None and (each[index] is options.params or "seed" in options.sampling):
                params = params.merged(seed=(params.seed + index) % 2**64)
            return Answer(
                model.backend, model.tokenizer, ids, params, max_tokens=options.max_tokens, window=window
            )
        except ValueError as error:
            raise ValueError(f"[batch] prompt {index}: {error}") from None

    return answer_all(
        model.backend,
        answer_of,
        len(asked),
        max_batch=options.max_batch,
        on_progress=options.on_progress,
        errors=errors,
    )


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
    results: dict[int, Generation | ValueError] = {}
    for index in range(n_prompts):
        try:
            made[index] = answer_of(index)
        except ValueError as error:
            if errors == "raise":
                raise
            results[index] = error
    places = list(made)
    again = (lambda position: answer_of(places[position])) if errors == "return" else None
    for position, result in stream_batch(backend, made.values(), max_batch=max_batch, again=again):
        results[places[position]] = result
        if on_progress is not None:
            on_progress(len(results), n_prompts)
    return [results[index] for index in range(n_prompts)]


def stream_batch(
    backend: Backend,
    answers: Iterable[Answer | ValueError],
    *,
    max_batch: int = 16,
    again: Callable[[int], Answer] | None = None,
) -> Iterator[tuple[int, Generation | ValueError]]:
    """Write `answers`, at most `max_batch` at a time: pairs of index and result, in the order they finish.

    answers: taken one by one, whenever there is room; an error among them stands for a prompt that was refused, and
    comes out again under its index. What the first `max_batch` prompts begin with is computed once, also for later
    ones that begin alike; it counts as prefilled for the first of them.
    again: makes the answer of an index anew; with it, a ValueError in a pass is the result of the answer that causes
    it, and those that shared the pass are written alone.
    Closing the generator lets go of all memory. Raises ValueError for max_batch, and what a pass of the engine raises.
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
                if isinstance(answer, ValueError):
                    yield index, answer
                    continue
                answer.sequence = shared.sequence_for(answer)
                running.append((index, answer))
            if not running:
                return
            try:
                advance(backend, [answer for _, answer in running])
            except ValueError:
                if again is None:
                    raise
                failed, running = running, []
                for _, answer in failed:
                    answer.sequence = None
                for (
                    index,
                    _,
                ) in failed:  # samplers may have moved on: each begins anew, with the same settings
                    yield index, _alone(backend, again(index), shared)
                continue
            finished = [entry for entry in running if entry[1].finished]
            running = [entry for entry in running if not entry[1].finished]
            for index, answer in finished:
                answer.sequence = None  # lets go of its memory
                answer.prefilled_tokens += shared.computed_for(answer)
                yield index, result_of(answer)
    finally:
        for _, answer in running:
            answer.sequence = None


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


def _alone(backend: Backend, answer: Answer, shared: _Shared) -> Generation | ValueError:
    answer.sequence = shared.sequence_for(answer)
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


def _prompts(prompts: Any) -> list[Any]:
    """The prompts of a batch. ValueError for what is no iterable of several."""
    if isinstance(prompts, (str, bytes, Mapping)) or not isinstance(prompts, Iterable):
        advice = ": for one prompt write [prompt], or generate(prompt)" if isinstance(prompts, str) else ""
        raise ValueError(f"[batch] prompts: expected a list of prompts, got {excerpt(prompts)}{advice}")
    return list(prompts)


def _params_of_each(params: Any, n_prompts: int) -> list[SamplingParams | None]:
    """The settings of each prompt of a batch. ValueError unless they are one for all, or one per prompt."""
    if params is None or isinstance(params, SamplingParams):
        return [params] * n_prompts
    if isinstance(params, (str, bytes, Mapping)) or not isinstance(params, Iterable):
        raise ValueError(f"[batch] params: expected SamplingParams, or a list of them, got {excerpt(params)}")
    each = list(params)
    if len(each) != n_prompts:
        raise ValueError(f"[batch] params: expected {n_prompts}, one per prompt, got {len(each)}")
    return each

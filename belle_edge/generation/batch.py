"""Many prompts at once: one pass per step for all that are being answered, whatever their progress."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from itertools import islice
from typing import Any, Literal, get_args

from ..errors import excerpt
from ..sampling import SamplingParams
from ..settings import integer
from .answer import Answer, Window, limit_of
from .answer_options import BatchOptions, Progress, constraint_of, params_of_call
from .common_beginnings import common_prefix
from .loaded_model import LoadedModel
from .prompt_ids import prompt_ids
from .request_state import WORTH_WAITING, Reader, Request
from .scheduler import Scheduler
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
    constraint = constraint_of(options)

    def answer_of(index: int) -> Answer:
        try:
            ids = prompt_ids(model, asked[index], raw=options.raw)
            params = params_of_call(
                model.chat_format,
                raw=options.raw,
                params=each[index],
                sampling=options.sampling,
                constrained=constraint is not None,
            )
            if params.seed is not None and (each[index] is options.params or "seed" in options.sampling):
                params = params.merged(seed=(params.seed + index) % 2**64)
            return Answer(
                model.backend,
                model.tokenizer,
                ids,
                params,
                max_tokens=options.max_tokens,
                window=window,
                constraint=constraint,
            )
        except ValueError as error:
            raise ValueError(f"[batch] prompt {index}: {error}") from None

    return answer_all(
        model.scheduler,
        answer_of,
        len(asked),
        max_batch=options.max_batch,
        on_progress=options.on_progress,
        errors=errors,
    )


def answer_all(
    scheduler: Scheduler,
    answer_of: Callable[[int], Answer],
    n_prompts: int,
    *,
    max_batch: int,
    on_progress: Progress | None,
    errors: Errors,
) -> Sequence[Generation | ValueError]:
    """The answers to prompts 0 to n_prompts - 1; with errors="return" a ValueError where there is none.

    answer_of: makes an answer, or raises ValueError for a prompt that has none. All are made before anything is
    computed.
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
    with closing(stream_batch(scheduler, made.values(), max_batch=max_batch)) as written:
        for position, result in written:
            if isinstance(result, ValueError) and errors == "raise":
                raise result
            results[places[position]] = result
            if on_progress is not None:
                on_progress(len(results), n_prompts)
    return [results[index] for index in range(n_prompts)]


def stream_batch(
    scheduler: Scheduler, answers: Iterable[Answer | Generation | ValueError], *, max_batch: int = 16
) -> Generator[tuple[int, Generation | ValueError], None, None]:
    """Write `answers`, at most `max_batch` at a time: pairs of index and result, in the order they finish.

    answers: taken one by one, whenever there is room; an error among them stands for a prompt that was refused, and
    comes out again under its index, as the ValueError of an answer that fails does. So does a result that is there
    already. What the first `max_batch` prompts
    begin with is computed once, also for later ones that begin alike; it counts as prefilled for the first of them.
    Closing the generator lets go of all memory. Raises ValueError for max_batch, and other errors of the engine.
    """
    max_batch = integer("[batch] max_batch", max_batch, low=1)
    waiting = enumerate(answers)
    first = list(islice(waiting, max_batch))
    alike = [answer.history for _, answer in first if isinstance(answer, Answer)]
    n_alike = common_prefix(alike) if len(alike) > 1 else 0
    pinned = scheduler.pin(alike[0][:n_alike]) if n_alike else None
    reader = Reader(n_together=max_batch)
    running: dict[Request, int] = {}
    try:
        while True:
            while len(running) < max_batch:
                entry = first.pop(0) if first else next(waiting, None)
                if entry is None:
                    break
                index, answer = entry
                if not isinstance(answer, Answer):
                    yield index, answer
                    continue
                worth = (
                    n_alike
                    if pinned is not None and answer.history[:n_alike] == pinned.ids
                    else WORTH_WAITING
                )
                running[Request(answer, reader, whole=True, worth_waiting=worth)] = index
            if not running:
                return
            for request in scheduler.wait_for_end(reader, list(running)):
                index = running[request]
                scheduler.leave(request)
                del running[request]
                yield index, _result_of(request)
            scheduler.write_out()
    finally:
        for request in running:
            scheduler.leave(request)
        if pinned is not None:
            scheduler.release(pinned)


def _result_of(request: Request) -> Generation | ValueError:
    """Of a request that has ended. Raises what is no ValueError."""
    if request.error is None:
        return result_of(request.answer)
    if isinstance(request.error, ValueError):
        return request.error
    raise request.error


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

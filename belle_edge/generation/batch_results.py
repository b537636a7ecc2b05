"""Answers to any number of prompts, taken from an iterable as there is room and given as they finish."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain, count, islice
from typing import Any

from ..errors import excerpt
from ..sampling import SamplingParams
from .answer import Answer, Window, limit_of
from .answer_options import AnswerOptions, constraint_of, params_of_call, read_options
from .batch import Errors, checked_errors, stream_batch
from .choice_scores import Choices, Chooser, Question, question
from .constraint import NAMES, Constraint
from .item_settings import own_settings
from .loaded_model import LoadedModel
from .prompt_ids import dialogue_ids, prompt_ids
from .streams import Generation

_WINDOW = 8  # batches whose prompts are put in order of length
_MOST_CONSTRAINTS = 64  # that are kept, so that a schema is compiled once


@dataclass(frozen=True)
class BatchResult:
    """What became of one item: a generation, or the error that says why there is none."""

    index: int  # of the item, from 0
    item: Any
    generation: Generation | None
    error: ValueError | None = None

    @property
    def text(self) -> str:
        """The answer. Raises the error where there is none."""
        if self.generation is None:
            raise self.error or ValueError("[batch] no answer")
        return self.generation.text


@dataclass(frozen=True)
class BatchProgress:
    """How far a batch is."""

    n_done: int  # failed ones too
    n_failed: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float


OnBatchProgress = Callable[[BatchProgress], None]


@dataclass(frozen=True)
class BatchPlan:
    """How a batch is run; see `Belle.batch`. What an answer is does not depend on it."""

    errors: Errors = "raise"
    ordered: bool = False
    max_batch: int = 16
    on_progress: OnBatchProgress | None = None
    scored: bool = False


def answer_items(
    model: LoadedModel, items: Iterable[Any], options: AnswerOptions, plan: BatchPlan, *, raw: bool
) -> Iterator[BatchResult]:
    """See `Belle.batch`. Settings are checked at once, items when their turn comes."""
    checked_errors(plan.errors)
    if isinstance(items, (str, bytes, Mapping)) or not isinstance(items, Iterable):
        raise ValueError(f"[batch] items: expected an iterable of prompts, got {excerpt(items)}")
    windows = _windows(items, plan.max_batch * _WINDOW)
    results = answer_windows(model, windows, options, plan, raw=raw)
    return _in_order(results) if plan.ordered else results


def answer_windows(
    model: LoadedModel,
    windows: Iterable[Sequence[Any]],
    options: AnswerOptions,
    plan: BatchPlan,
    *,
    raw: bool,
) -> Iterator[BatchResult]:
    """As `answer_items`, for items that come some at a time: results as they finish, counted over all windows.

    A window is taken when there is room and all answers of the one before have begun.
    """
    maker = AnswerMaker(model, options, raw=raw, scored=plan.scored)
    return _results(model, windows, maker, plan)


class AnswerMaker:
    """Makes the answer of each item, not written yet."""

    def __init__(
        self, model: LoadedModel, options: AnswerOptions, *, raw: bool, scored: bool = False
    ) -> None:
        """scored: a choice is made by likelihood, not written under a constraint. ValueError for bad options."""
        self._model, self._options, self._raw, self._scored = model, options, raw, scored
        self._constraints: dict[str, Constraint | Choices | None] = {}
        limit_of(options.max_tokens, Window(model.context, options.overflow, options.n_keep or 0))
        self._params(options, self._shape(options), raw=raw)

    def answer(self, index: int, item: Any) -> Answer | Question:
        """ValueError for an item that has none."""
        fields = item if isinstance(item, Mapping) else {"prompt": item}
        own = own_settings(fields) if isinstance(item, Mapping) else {}
        raw = own.pop("raw", self._raw)
        options = _with(self._options, own)
        ids = self._ids(fields, raw=raw)
        shape = self._shape(options)
        params = self._params(options, shape, raw=raw)
        if isinstance(shape, Choices):
            return question(self._model, ids, shape)
        if params.seed is not None and "seed" not in own:
            params = params.merged(seed=(params.seed + index) % 2**64)
        n_keep = min(len(ids), self._model.context // 2) if options.n_keep is None else options.n_keep
        return Answer(
            self._model.backend,
            self._model.tokenizer,
            ids,
            params,
            max_tokens=options.max_tokens,
            window=Window(self._model.context, options.overflow, n_keep),
            constraint=shape,
        )

    def _params(self, options: AnswerOptions, shape: Any, *, raw: bool) -> SamplingParams:
        return params_of_call(
            self._model.chat_format,
            raw=raw,
            params=options.params,
            sampling=options.sampling,
            constrained=shape is not None,
        )

    def _ids(self, fields: Mapping[str, Any], *, raw: bool) -> list[int]:
        if fields.get("messages") is not None:
            if fields.get("prompt") is not None:
                raise ValueError("expected a prompt or messages, got both")
            if raw:
                raise ValueError("raw: messages need the chat template")
            return dialogue_ids(self._model, fields["messages"])
        if "prompt" not in fields:
            raise ValueError('expected a text under "prompt", or a dialogue under "messages"')
        return prompt_ids(self._model, fields["prompt"], raw=raw)

    def _shape(self, options: AnswerOptions) -> Constraint | Choices | None:
        """What the answer is restricted to. ValueError for two of them, and for one that is not supported."""
        key = repr([getattr(options, name) for name in NAMES])
        if key not in self._constraints:
            if len(self._constraints) >= _MOST_CONSTRAINTS:
                self._constraints.clear()
            self._constraints[key] = self._new_shape(options)
        return self._constraints[key]

    def _new_shape(self, options: AnswerOptions) -> Constraint | Choices | None:
        others = [name for name in NAMES if name != "choice" and getattr(options, name) is not None]
        if self._scored and options.choice is not None and not others:
            return Choices.of(self._model.tokenizer, options.choice)
        return constraint_of(options)


def _with(options: AnswerOptions, own: Mapping[str, Any]) -> AnswerOptions:
    if not own:
        return options
    changed = read_options(options, own)
    return replace(changed, sampling={**options.sampling, **changed.sampling})


def _results(
    model: LoadedModel, windows: Iterable[Sequence[Any]], maker: AnswerMaker, plan: BatchPlan
) -> Generator[BatchResult, None, None]:
    begun: dict[int, tuple[int, Any]] = {}  # position in the scheduler's batch -> index and item
    answers = _answers(model, windows, maker, plan, begun)
    start = time.monotonic()
    n_done = n_failed = n_prompt = n_answer = 0
    with closing(stream_batch(model.scheduler, answers, max_batch=plan.max_batch)) as written:
        for position, outcome in written:
            index, item = begun.pop(position)
            failed = isinstance(outcome, ValueError)
            if isinstance(outcome, ValueError):
                if plan.errors == "raise":
                    raise _of_item(index, outcome)
                result = BatchResult(index, item, None, outcome)
            else:
                result = BatchResult(index, item, outcome)
                n_prompt += outcome.prompt_tokens
                n_answer += outcome.completion_tokens
            n_done, n_failed = n_done + 1, n_failed + failed
            if plan.on_progress is not None:
                seconds = time.monotonic() - start
                plan.on_progress(BatchProgress(n_done, n_failed, n_prompt, n_answer, seconds))
            yield result


def _windows(items: Iterable[Any], n_items: int) -> Iterator[list[Any]]:
    waiting = iter(items)
    while window := list(islice(waiting, n_items)):
        yield window


def _answers(
    model: LoadedModel,
    windows: Iterable[Sequence[Any]],
    maker: AnswerMaker,
    plan: BatchPlan,
    begun: dict[int, tuple[int, Any]],
) -> Iterator[Answer | Generation | ValueError]:
    """The answers of window after window; within one the longest prompt comes first, after the choices."""
    indices, positions = count(), count()
    chooser = Chooser(model)
    for window in windows:
        written: list[tuple[int, Any, Answer | ValueError]] = []
        asked: list[tuple[int, Any, Question]] = []
        for item, index in zip(window, indices, strict=False):  # the window first: it ends
            try:
                made = maker.answer(index, item)
            except ValueError as error:
                if plan.errors == "raise":
                    raise _of_item(index, error) from None
                written.append((index, item, error))
                continue
            if isinstance(made, Question):
                asked.append((index, item, made))
            else:
                written.append((index, item, made))
        written.sort(key=lambda entry: -_length(entry[2]))
        for index, item, outcome in chain(_chosen(chooser, asked, plan.max_batch), written):
            begun[next(positions)] = (index, item)
            yield outcome


def _chosen(
    chooser: Chooser, asked: list[tuple[int, Any, Question]], max_batch: int
) -> Iterator[tuple[int, Any, Generation]]:
    """The choices of questions, `max_batch` at a time; those that begin alike stand together."""
    asked.sort(key=lambda entry: entry[2].ids)
    for first in range(0, len(asked), max_batch):
        group = asked[first : first + max_batch]
        answers = chooser.answers([made for _, _, made in group])
        for (index, item, _), answer in zip(group, answers, strict=True):
            yield index, item, answer


def _length(answer: Answer | ValueError) -> int:
    return 0 if isinstance(answer, ValueError) else len(answer.history)


def _of_item(index: int, error: ValueError) -> ValueError:
    return ValueError(f"[batch] item {index}: {error}")


def _in_order(results: Iterator[BatchResult]) -> Iterator[BatchResult]:
    waiting: dict[int, BatchResult] = {}
    n_given = 0
    for result in results:
        waiting[result.index] = result
        while n_given in waiting:
            yield waiting.pop(n_given)
            n_given += 1

"""A job: every record of an input becomes a line of the output, once, whatever stops it in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..generation.answer_options import PROMPT, read_options
from ..generation.batch_results import AnswerMaker, BatchProgress, BatchResult
from ..generation.item_settings import own_settings
from ..generation.streams import Generation
from .input_records import InputRecord
from .job_output import JobOutput
from .output_lines import OutputForm
from .result_fields import CutAnswerError, problem_of

if TYPE_CHECKING:
    from ..model import Belle

Asks = Callable[
    [InputRecord], Mapping[str, Any]
]  # an item of `Belle.batch`; ValueError for a record that has none


@dataclass(frozen=True)
class _Asked(Mapping[str, Any]):
    """An item of `Belle.batch` that knows its record, and counts seeds by the record's place."""

    record: InputRecord
    fields: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)


@dataclass(frozen=True)
class JobCounts:
    """What a run of a job did."""

    n_records: int  # results in the output, those of earlier runs too
    n_failed: int  # errors among them
    n_earlier: int


class BatchJob:
    """Answers the records of one input."""

    def __init__(
        self,
        model: Belle,
        asks: Asks,
        form: OutputForm,
        *,
        settings: Mapping[str, Any],
        max_batch: int = 16,
        fail_fast: bool = False,
        on_progress: Callable[[BatchProgress], None] | None = None,
    ) -> None:
        """settings: of all records, as `Belle.batch` takes them, raw and scored included."""
        self._model, self._asks, self._form = model, asks, form
        self._settings = dict(settings)
        self._seed = self._settings.pop("seed", None)
        self._max_batch, self._fail_fast = max_batch, fail_fast
        self._on_progress = on_progress
        named = {name: value for name, value in self._settings.items() if name not in ("raw", "scored")}
        raw, scored = bool(self._settings.get("raw")), bool(self._settings.get("scored"))
        self._maker = AnswerMaker(model, read_options(PROMPT, named), raw=raw, scored=scored)

    def run(self, records: Iterable[InputRecord], output: JobOutput) -> JobCounts:
        """Answer what the output does not have yet. ValueError with `fail_fast` for the first record that fails."""
        n_done, n_failed = output.n_earlier, output.n_failed_earlier
        for record, outcome in self._outcomes(self._left(records, output)):
            failed = isinstance(outcome, Exception)
            if failed and self._fail_fast:
                raise ValueError(f"line {record.line}: {problem_of(outcome)}")  # type: ignore[arg-type]
            output.add(record.index, record.digest, self._form.line(record, outcome), failed=failed)
            n_done, n_failed = n_done + 1, n_failed + failed
        output.finish()
        return JobCounts(n_done, n_failed, output.n_earlier)

    def measured(self, record: InputRecord) -> tuple[Mapping[str, Any], int, int]:
        """A record as an item, the tokens of its prompt, and those of its answer at most. ValueError without one."""
        asked = self._asked(record)
        if "error" in asked:
            raise asked["error"]
        answer = self._maker.answer(record.index, asked)
        return asked, answer.prompt_tokens, answer.most_tokens

    def answers(self, items: Iterable[Mapping[str, Any]]) -> Iterator[BatchResult]:
        """Answers to items, in their order, that go into no output; an error is a result."""
        return self._model.batch(
            items, errors="return", ordered=True, max_batch=self._max_batch, **self._settings
        )

    def _left(self, records: Iterable[InputRecord], output: JobOutput) -> Iterator[InputRecord]:
        for record in records:
            if not output.is_done(record.index, record.digest, record.line):
                yield record

    def _outcomes(
        self, records: Iterable[InputRecord]
    ) -> Iterator[tuple[InputRecord, Generation | Exception]]:
        results: Iterator[BatchResult] = self._model.batch(
            map(self._asked, records),
            errors="return",
            max_batch=self._max_batch,
            on_progress=self._on_progress,
            **self._settings,
        )
        with closing(results):  # type: ignore[type-var]
            for result in results:
                asked: _Asked = result.item
                error = asked.fields.get("error", result.error)
                outcome = error if error is not None else result.generation
                assert outcome is not None
                yield asked.record, self._checked(asked, outcome)

    def _checked(self, asked: _Asked, outcome: Generation | Exception) -> Generation | Exception:
        """The outcome; an error in its place where it is no whole JSON, and the form refuses that."""
        if isinstance(outcome, Exception) or outcome.finish_reason == "stop" or not self._form.refuses_cut:
            return outcome
        own = own_settings(asked)
        demanded = own["schema"] if "schema" in own else self._settings.get("schema")
        return outcome if demanded is None else CutAnswerError(outcome)

    def _asked(self, record: InputRecord) -> _Asked:
        """The record as an item; without a question, an item that is refused, under its own error."""
        problem = record.error or self._form.problem(record)
        if problem is not None:
            return _Asked(record, {"error": ValueError(problem)})
        try:
            item = dict(self._asks(record))
        except ValueError as error:
            return _Asked(record, {"error": error})
        if self._seed is not None and item.get("seed") is None:
            item["seed"] = (self._seed + record.index) % 2**64
        return _Asked(record, item)

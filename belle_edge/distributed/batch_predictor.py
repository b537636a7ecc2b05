"""One callable for the workers of Ray Data, Spark and Dask: a batch of rows in, the same with answers out."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..argument_names import unknown_argument
from ..batch.result_fields import problem_of
from ..generation.answer_options import PROMPT, AnswerSettings, read_options
from ..generation.choice_scores import Choice
from ..generation.streams import Generation
from ..model import Belle
from ..sampling import resolve
from ..settings import EngineSettings, integer
from .batch_tables import RESULT_COLUMNS, SCORED_COLUMNS, BatchTable, Kind, table_of
from .loaded_models import loaded_model
from .row_items import PARAMS, QUESTIONS, plain, row_item
from .worker_threads import worker_threads

if TYPE_CHECKING:
    from typing_extensions import Unpack

_OWN = ("path", "threads", "progress")  # of `Belle.load`, but not among `load`


class BatchPredictor:
    """Answers the rows of tables. It carries a path and settings alone, so it can be sent to workers; the model is
    loaded with the first batch there, once in a process.
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        threads: int | None = None,
        load: Mapping[str, Any] | None = None,
        max_batch: int = 16,
        seed_by: str | None = None,
        raw: bool = False,
        scored: bool = False,
        **settings: Unpack[AnswerSettings],
    ) -> None:
        """model: a GGUF file, under the same path on each machine; one that is relative is taken from here.

        threads: of each worker's model; None: the CPUs that Ray, Spark or Dask gave the worker, else all. load: further
        arguments of `Belle.load`, as {"isa": "avx2"}. max_batch: rows answered together. raw, scored, settings: as for
        `Belle.batch`, for rows that have none of their own; with scored there is a column `probability`, too.

        seed: with it the seed of each row follows from what the row asks, or from the column `seed_by`; so equal
        questions get equal answers without `seed_by`. None counts as 0.

        Raises ValueError, here and not on a worker, for an argument out of range or one that is not known.
        """
        path = os.fspath(model)
        self.model = path if path.startswith("~") else os.path.abspath(path)
        self.load = dict(load or {})
        known = [name for name in inspect.signature(Belle.load).parameters if name not in _OWN]
        for name in self.load:
            if name not in known:
                raise unknown_argument("distributed", name, known)
        self.threads = EngineSettings(threads=threads).threads
        self.max_batch = integer("[distributed] max_batch", max_batch, low=1)
        self.seed_by, self.raw, self.scored = seed_by, raw, scored
        given: dict[str, Any] = dict(settings)
        options = read_options(PROMPT, given)
        self.seed = resolve({}, options.params, options.sampling).seed or 0
        given.pop("seed", None)
        self.settings = given

    @property
    def columns(self) -> Mapping[str, Kind]:
        """The columns of a result, with their types."""
        return SCORED_COLUMNS if self.scored else RESULT_COLUMNS

    def __call__(self, batch: Any) -> Any:
        """The batch with the results' columns added, in the kind that it came in.

        batch: a dict of arrays, a pandas.DataFrame, a pyarrow.Table or RecordBatch; of an iterator of these each, as
        they are asked for. Columns: `prompt` or `messages`, and `sampling_params` where rows have settings of
        their own; others stay. A row that cannot be answered has an `error`. An empty batch loads no model.

        Raises ValueError for a batch of another kind, without a question, or with a column of the result; and what
        `Belle.load` raises.
        """
        if isinstance(batch, Iterator):
            return map(self._answered, batch)
        return self._answered(batch)

    def spark_schema(self, schema: Any) -> Any:
        """What `mapInPandas` and `mapInArrow` ask for: a schema of Spark with the results' columns added."""
        from pyspark.sql.types import DoubleType, LongType, StringType, StructField, StructType

        kinds: Mapping[Kind, Any] = {str: StringType, int: LongType, float: DoubleType}
        added = [StructField(name, kinds[kind]()) for name, kind in self.columns.items()]
        return StructType([*schema.fields, *added])

    def _answered(self, batch: Any) -> Any:
        table = table_of(batch)
        self._check(table.names)
        rows = self._rows(table)
        results = self._results(rows) if rows else []
        cells = [_cells(result) for result in results]
        return table.extended(
            {name: (kind, [row.get(name, kind()) for row in cells]) for name, kind in self.columns.items()}
        )

    def _check(self, names: Sequence[str]) -> None:
        if not any(name in names for name in QUESTIONS):
            raise ValueError(
                f"[distributed] batch: expected a column prompt or messages, got {', '.join(names)}"
            )
        if taken := [name for name in self.columns if name in names]:
            raise ValueError(f'[distributed] batch: "{taken[0]}" is a column of the result: rename it')
        if self.seed_by is not None and self.seed_by not in names:
            raise ValueError(f"[distributed] seed_by: no column {self.seed_by!r}, but {', '.join(names)}")

    def _rows(self, table: BatchTable) -> list[dict[str, Any]]:
        wanted = {*QUESTIONS, PARAMS, self.seed_by}
        columns = {name: table.column(name) for name in table.names if name in wanted}
        return [
            {name: plain(values[index]) for name, values in columns.items()} for index in range(table.n_rows)
        ]

    def _results(self, rows: Sequence[Mapping[str, Any]]) -> list[Generation | ValueError]:
        model = loaded_model(self.model, threads=self.threads or worker_threads(), load=self.load)
        results: dict[int, Generation | ValueError] = {}
        items: list[Mapping[str, Any]] = []
        places: list[int] = []  # of the items among the rows
        for index, row in enumerate(rows):
            try:
                items.append(row_item(row, seed=self.seed, seed_by=self.seed_by))
                places.append(index)
            except ValueError as error:
                results[index] = error
        answers = model.batch(
            items,
            errors="return",
            max_batch=self.max_batch,
            raw=self.raw,
            scored=self.scored,
            **self.settings,
        )
        for answer in answers:
            outcome = answer.generation or answer.error
            assert outcome is not None
            results[places[answer.index]] = outcome
        return [results[index] for index in range(len(rows))]


def _cells(result: Generation | ValueError) -> dict[str, Any]:
    """What is not empty in a row's columns."""
    if isinstance(result, ValueError):
        return {"error": problem_of(result)}
    return {
        "generated_text": result.text,
        "finish_reason": result.finish_reason,
        "prompt_tokens": result.prompt_tokens,
        "completion_tokens": result.completion_tokens,
        **({"probability": result.probability} if isinstance(result, Choice) else {}),
    }

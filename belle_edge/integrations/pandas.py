"""pandas: answers for the texts of a column, or for the rows of a frame.

import belle_edge.integrations.pandas  # adds .belle to Series and DataFrame

frame["english"] = frame["text"].belle.answer("belle-7b.gguf", template="翻译成英文：{text}")
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from ..errors import BackendMissingError, excerpt
from ..generation.answer_options import AnswerSettings
from ..generation.batch_results import BatchProgress, BatchResult
from ..generation.choice_scores import Choice
from ..model import Belle
from .row_templates import RowTemplate
from .shared_models import shared_model

try:
    import pandas as pd
except ImportError:
    raise BackendMissingError("[pandas] pandas is not installed: pip install 'belle-edge[pandas]'") from None

if TYPE_CHECKING:
    from typing_extensions import Unpack

_CELL = "text"  # what a template calls the text of a Series
_TEXTS = ("answer", "error", "finish_reason")
_COUNTS = ("prompt_tokens", "completion_tokens")
_PROBABILITY = "probability"


class RowSettings(AnswerSettings, total=False):
    """Settings of `Belle.batch` as keyword arguments, for type checkers and editors."""

    raw: bool
    scored: bool
    max_batch: int
    on_progress: Callable[[BatchProgress], None] | None


@pd.api.extensions.register_series_accessor("belle")
@pd.api.extensions.register_dataframe_accessor("belle")
class BelleAccessor:
    """`series.belle` and `frame.belle`: rows are asked together, and each answer is the one that it has alone."""

    def __init__(self, data: pd.Series[Any] | pd.DataFrame) -> None:
        self._data = data

    def answer(
        self,
        model: Belle | str | os.PathLike[str],
        *,
        template: str | None = None,
        progress: bool = False,
        **options: Unpack[RowSettings],
    ) -> pd.Series[Any]:
        """A Series of answers with the same index. A row with a missing value is not asked: its answer is missing.

        model: a loaded one, or the path of a GGUF file. template: the question, where {text} is the text of a Series,
        {column} a value of a frame's row, and {{ and }} are braces; without one a Series is asked as it is. progress:
        show a bar. options: those of `Belle.batch`; with a seed, row i uses seed + i.

        Raises what `Belle.load` raises, and ValueError for the first row that cannot be answered: `details` goes on.
        """
        texts: list[str | None] = [None] * len(self._data)
        for position, result in self._results(model, template, progress, options):
            if result.error is not None:
                raise ValueError(f"[pandas] row {excerpt(self._data.index[position])}: {result.error}")
            texts[position] = result.text
        name = getattr(self._data, "name", None)
        return pd.Series(texts, index=self._data.index, name=name, dtype=object).infer_objects()

    def details(
        self,
        model: Belle | str | os.PathLike[str],
        *,
        template: str | None = None,
        progress: bool = False,
        **options: Unpack[RowSettings],
    ) -> pd.DataFrame:
        """As `answer`, but a DataFrame: answer, error, finish_reason, prompt_tokens and completion_tokens of each row.

        A row that cannot be answered has an error, one with a missing value has nothing. scored: choices have their
        probability, too.
        """
        columns = [*_TEXTS, *_COUNTS, *([_PROBABILITY] if options.get("scored") else [])]
        rows: list[dict[str, Any]] = [{} for _ in range(len(self._data))]
        for position, result in self._results(model, template, progress, options):
            rows[position] = _cells(result)
        frame = pd.DataFrame(rows, index=self._data.index, columns=columns, dtype=object)
        return frame.astype(dict.fromkeys(_COUNTS, "Int64")).infer_objects()

    def _results(
        self, model: Any, template: str | None, progress: bool, options: RowSettings
    ) -> Iterator[tuple[int, BatchResult]]:
        """(position of a row, its result) for each row that asks something, as they finish."""
        asked: list[dict[str, Any]] = [
            {"position": position, "prompt": prompt}
            for position, prompt in enumerate(_prompts(self._data, template))
            if prompt is not None
        ]
        if (seed := options.pop("seed", None)) is not None:
            asked = [{**item, "seed": seed + item["position"]} for item in asked]
        loaded = model if isinstance(model, Belle) else shared_model(model, {})
        batch: Any = loaded.batch(asked, errors="return", **options)
        with closing(batch) as results:
            for result in _with_bar(results, len(asked)) if progress else results:
                yield result.item["position"], result


def _with_bar(results: Iterator[BatchResult], n_rows: int) -> Iterator[BatchResult]:
    from rich.progress import track

    yield from track(results, total=n_rows, description="")


def _prompts(data: Any, template: str | None) -> Iterator[str | None]:
    """The question of each row; None where a value that it needs is missing. ValueError for what is no text."""
    if template is None:
        yield from _texts(data)
        return
    is_series = isinstance(data, pd.Series)
    names = [_CELL] if is_series else [str(name) for name in data.columns]
    filled = RowTemplate.between(template, names)
    columns = [data if is_series else data.iloc[:, names.index(name)] for name in filled.names]
    for values in zip(*columns, strict=True):
        yield None if any(map(_is_missing, values)) else filled.filled(values)


def _texts(data: Any) -> Iterator[str | None]:
    if not isinstance(data, pd.Series):
        columns = ", ".join(f"{{{name}}}" for name in data.columns)
        raise ValueError(f"[pandas] a frame needs a template with its columns, as {columns}")
    for label, value in data.items():
        if not isinstance(value, str) and not _is_missing(value):
            raise ValueError(
                f"[pandas] row {excerpt(label)}: expected a text, got {excerpt(value)}: template='{{text}}' writes it"
            )
        yield value if isinstance(value, str) else None


def _is_missing(value: Any) -> bool:
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def _cells(result: BatchResult) -> dict[str, Any]:
    if result.generation is None:
        return {"error": str(result.error)}
    generation = result.generation
    cells = {
        "answer": generation.text,
        "finish_reason": generation.finish_reason,
        "prompt_tokens": generation.prompt_tokens,
        "completion_tokens": generation.completion_tokens,
    }
    return {**cells, _PROBABILITY: generation.probability} if isinstance(generation, Choice) else cells

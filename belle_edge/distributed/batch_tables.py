"""The tables that workers are given: columns out of them, and the same kind with the results' columns back."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ..errors import excerpt

Kind = type[str] | type[int] | type[float]
# What a result adds. There are no nulls, so that each batch has the same types: "" and 0 where there is no answer.
RESULT_COLUMNS: Mapping[str, Kind] = {
    "generated_text": str,
    "finish_reason": str,
    "prompt_tokens": int,
    "completion_tokens": int,
    "error": str,  # "" where there is an answer
}
SCORED_COLUMNS: Mapping[str, Kind] = {**RESULT_COLUMNS, "probability": float}  # of the chosen text
Columns = Mapping[str, tuple[Kind, Sequence[Any]]]
_NUMPY: Mapping[Kind, str] = {str: "object", int: "int64", float: "float64"}


class BatchTable(Protocol):
    """A batch of rows."""

    @property
    def names(self) -> list[str]: ...

    @property
    def n_rows(self) -> int: ...

    def column(self, name: str) -> Sequence[Any]: ...

    def extended(self, columns: Columns) -> Any:
        """The batch, of the kind it was, with these columns added."""


def table_of(batch: Any) -> BatchTable:
    """ValueError for what is none of: a dict of arrays, a pandas.DataFrame, a pyarrow.Table or RecordBatch."""
    pandas, arrow = sys.modules.get("pandas"), sys.modules.get("pyarrow")
    if isinstance(batch, Mapping):
        return _Arrays(batch)
    if pandas is not None and isinstance(batch, pandas.DataFrame):
        return _Frame(batch)
    if arrow is not None and isinstance(batch, (arrow.Table, arrow.RecordBatch)):
        return _ArrowTable(batch)
    raise ValueError(
        "[distributed] batch: expected a dict of arrays, a pandas.DataFrame, a pyarrow.Table, or an iterator of"
        f" these, got {excerpt(batch)}"
    )


class _Arrays:
    """A dict of NumPy arrays: what Ray Data gives by itself."""

    def __init__(self, batch: Mapping[str, Any]) -> None:
        self._batch = batch

    @property
    def names(self) -> list[str]:
        return list(self._batch)

    @property
    def n_rows(self) -> int:
        return len(next(iter(self._batch.values()), ()))

    def column(self, name: str) -> Sequence[Any]:
        return list(self._batch[name])

    def extended(self, columns: Columns) -> Any:
        added = {name: np.array(values, dtype=_NUMPY[kind]) for name, (kind, values) in columns.items()}
        return {**self._batch, **added}


class _Frame:
    """A pandas.DataFrame; its index stays."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch

    @property
    def names(self) -> list[str]:
        return [str(name) for name in self._batch.columns]

    @property
    def n_rows(self) -> int:
        return len(self._batch)

    def column(self, name: str) -> Sequence[Any]:
        return list(self._batch[name])

    def extended(self, columns: Columns) -> Any:
        import pandas

        added = {
            name: pandas.Series(values, index=self._batch.index, dtype=str if kind is str else _NUMPY[kind])
            for name, (kind, values) in columns.items()
        }
        return self._batch.assign(**added)


class _ArrowTable:
    """A pyarrow.Table or RecordBatch."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch

    @property
    def names(self) -> list[str]:
        return list(self._batch.schema.names)

    @property
    def n_rows(self) -> int:
        return int(self._batch.num_rows)

    def column(self, name: str) -> Sequence[Any]:
        values: list[Any] = self._batch.column(name).to_pylist()
        return values

    def extended(self, columns: Columns) -> Any:
        import pyarrow

        batch = self._batch
        kinds = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64()}
        for name, (kind, values) in columns.items():
            array = pyarrow.array(values, kinds[kind])
            batch = batch.append_column(name, [array] if isinstance(batch, pyarrow.Table) else array)
        return batch

"""The rows of a Parquet file, as values that JSON has."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from ..errors import BackendMissingError

_ROWS = 1024  # that are read at a time


def parquet_rows(file: BinaryIO) -> Iterator[Mapping[str, Any] | ValueError]:
    """Row after row; an error where Python has no value for a cell.

    In memory are some of the rows, and what a row group of the file needs to be read. Times are texts in ISO 8601,
    decimals are texts, bytes are texts in UTF-8 (others in hexadecimal digits), and no number is null.
    BackendMissingError without pyarrow, ValueError for what is no Parquet file.
    """
    import_parquet()
    from pyarrow import ArrowException

    try:
        for batch in _opened(file).iter_batches(batch_size=_ROWS):
            yield from _rows(batch)
    except (ArrowException, OSError) as error:
        raise ValueError(f"[input] the Parquet file cannot be read: {error}") from None


def _rows(batch: Any) -> Iterator[Mapping[str, Any] | ValueError]:
    try:
        rows = batch.to_pylist()
    except (ValueError, OverflowError) as error:
        if batch.num_rows == 1:
            yield ValueError(f"a cell cannot be read: {error}")
            return
        for place in range(batch.num_rows):
            yield from _rows(batch.slice(place, 1))
        return
    for row in rows:
        yield {name: _plain(value) for name, value in row.items()}


def n_parquet_rows(file: BinaryIO) -> int:
    """How many rows there are, from the file's end alone. Raises as `parquet_rows`."""
    import_parquet()
    return int(_opened(file).metadata.num_rows)


def import_parquet() -> None:
    """BackendMissingError without pyarrow."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise BackendMissingError(
            "[input] Parquet files need pyarrow: pip install 'belle-edge[parquet]'"
        ) from None


def _opened(file: BinaryIO) -> Any:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    if not file.seekable():
        raise ValueError("[input] a Parquet file is read from its end: give a file, not a pipe")
    try:
        found = ParquetFile(file)
    except (ArrowException, OSError) as error:
        raise ValueError(f"[input] expected a Parquet file: {error}") from None
    names = found.schema_arrow.names
    if len(set(names)) < len(names):
        raise ValueError(f"[input] expected a name of its own for each column, got {names}")
    return found


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        return _text(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    return str(value)


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.hex()

"""Parquet files as an input: the same records that JSON lines have, and what JSON has no value for."""

from __future__ import annotations

import csv
import datetime
import io
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from belle_edge.batch.input_records import count_records, form_of, read_records
from belle_edge.cli.main import main

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def written(table: Any, **options: Any) -> io.BytesIO:
    file = io.BytesIO()
    parquet.write_table(table, file, **options)
    file.seek(0)
    return file


def test_rows_over_many_groups() -> None:
    numbers = list(range(5000))
    file = written(pyarrow.table({"id": numbers, "text": [f"第{n}" for n in numbers]}), row_group_size=700)
    assert form_of("A.PARQUET") == "parquet"
    records = list(read_records(file, "parquet"))
    assert [(record.index, record.line) for record in records] == [(n, n + 1) for n in numbers]
    assert [dict(record.fields) for record in records] == [{"id": n, "text": f"第{n}"} for n in numbers]
    file.seek(0)
    assert count_records(file, "parquet") == 5000


def test_values_that_json_does_not_have() -> None:
    table = pyarrow.table(
        {
            "none": pyarrow.array([None], pyarrow.string()),
            "number": [float("nan")],
            "bytes": ["好".encode()],
            "image": [b"\xff\xd8"],
            "price": [Decimal("1.50")],
            "day": [datetime.date(2023, 4, 5)],
            "when": [datetime.datetime(2023, 4, 5, 6, 7)],
            "messages": [[{"role": "user", "content": "你好"}]],
            "counts": pyarrow.array([[("a", 1)]], pyarrow.map_(pyarrow.string(), pyarrow.int64())),
        }
    )
    (record,) = read_records(written(table), "parquet")
    assert dict(record.fields) == {
        "none": None,
        "number": None,
        "bytes": "好",
        "image": "ffd8",
        "price": "1.50",
        "day": "2023-04-05",
        "when": "2023-04-05T06:07:00",
        "messages": [{"role": "user", "content": "你好"}],
        "counts": [["a", 1]],
    }
    assert len(record.digest) == 16


def test_what_is_no_parquet_file() -> None:
    with pytest.raises(ValueError, match="expected a Parquet file"):
        list(read_records(io.BytesIO(b"PAR1" + bytes(50)), "parquet"))
    whole = written(pyarrow.table({"number": list(range(9000))}), compression="none").getvalue()
    broken = whole[:4] + b"\xff" * 4000 + whole[4004:]
    with pytest.raises(ValueError, match=r"\[input\] the Parquet file cannot be read"):
        list(read_records(io.BytesIO(broken), "parquet"))


def test_a_bad_cell_is_of_its_row() -> None:
    texts = pyarrow.array([b"a", b"\xff", "好".encode()], pyarrow.binary()).view(pyarrow.string())
    when = pyarrow.array([0, 0, 2**50], pyarrow.int64()).view(pyarrow.timestamp("ms"))
    found = list(read_records(written(pyarrow.table({"text": texts})), "parquet"))
    assert [record.fields.get("text") for record in found] == ["a", None, "好"]
    assert (found[1].error or "").startswith("a cell cannot be read: 'utf-8' codec")
    found = list(read_records(written(pyarrow.table({"when": when})), "parquet"))
    assert [record.error is None for record in found] == [True, True, False]


def test_a_job(
    converted: Callable[[str, str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "in.parquet", tmp_path / "out.csv"
    dialogue = [[{"role": "user", "content": text}] for text in ("你好", "字" * 9000)]
    parquet.write_table(pyarrow.table({"id": [7, 8], "messages": dialogue}), source)
    arguments = ["batch", str(converted("bloom", "q4_0")), str(source), "-o", str(out), "--max-tokens", "3"]
    assert main(arguments) == 3
    assert "1 of 2 records were refused" in capsys.readouterr().err
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["id"], row["line"], bool(row["answer"])) for row in rows] == [
        ("7", "1", True),
        ("8", "2", False),
    ]
    assert "context" in rows[1]["error"]


def test_without_pyarrow() -> None:
    program = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from belle_edge.batch.input_records import read_records\n"
        "list(read_records(open(sys.executable, 'rb'), 'parquet'))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "pip install 'belle-edge[parquet]'" in done.stderr

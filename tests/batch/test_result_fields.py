"""What results add to records: names that are taken, properties of JSON, answers that are no whole JSON."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from belle_edge.batch.input_records import InputRecord
from belle_edge.batch.output_lines import JsonLines, Table
from belle_edge.batch.result_fields import CutAnswerError, ResultFields
from belle_edge.generation.choice_scores import Choice
from belle_edge.generation.streams import Generation, Timings

TIMES = Timings(0.1, 0.2)
PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "tags": {"type": "array"}},
}
CHOSEN = Choice(
    "负面", (5,), "stop", 3, TIMES, probabilities={"正面": 1 / 3, "负面": 2 / 3, "都不是": 1.23456789e-9}
)


def written(text: str, reason: Any = "stop") -> Generation:
    return Generation(text, (5, 6), reason, 3, TIMES)


def row_of(table: Table, record: InputRecord, outcome: Generation | Exception) -> dict[str, str]:
    content = (table.header + table.line(record, outcome)).decode()
    (row,) = csv.DictReader(io.StringIO(content))
    return row


def test_choices_in_json_lines() -> None:
    line = json.loads(JsonLines(ResultFields()).line(InputRecord(0, 1, {"id": 1}), CHOSEN))
    assert line == {
        "id": 1,
        "answer": "负面",
        "probability": 0.666667,
        "probabilities": {"正面": 0.333333, "负面": 0.666667, "都不是": 1.23457e-09},
        "finish_reason": "stop",
        "prompt_tokens": 3,
        "completion_tokens": 1,
        "line": 1,
    }


def test_choices_in_a_table() -> None:
    """A column for each choice of all records; a record's own fit in as far as there are columns."""
    table = Table(["id"], ResultFields.of("label", {"choice": ["正面", "负面", "负面"]}), delimiter=",")
    row = row_of(table, InputRecord(0, 2, {"id": "1"}), CHOSEN)
    assert list(row)[:5] == ["id", "label", "probability", "p(正面)", "p(负面)"]
    assert list(row.values())[:5] == ["1", "负面", "0.666667", "0.333333", "0.666667"]
    own = Table(["id", "p(正面)"], ResultFields(), delimiter=",", chosen=True)
    row = row_of(own, InputRecord(0, 2, {"id": "1", "p(正面)": "mine"}), CHOSEN)
    assert (row["probability"], row["p(正面)"]) == ("0.666667", "mine")
    assert "probability" not in Table(["id"], ResultFields(), delimiter=",").header.decode()


def test_properties_become_fields() -> None:
    results = ResultFields.of("answer", {"schema": json.dumps(PERSON)}, spread=True)
    answer = written('{"name": "王", "tags": ["a", 1], "more": 2}')
    record = InputRecord(0, 1, {"text": "t"})
    line = json.loads(JsonLines(results).line(record, answer))
    assert (line["name"], line["tags"]) == ("王", ["a", 1])
    assert not {"age", "more"} & line.keys()
    row = row_of(Table(["text"], results, delimiter=","), record, answer)
    assert list(row)[:5] == ["text", "answer", "name", "age", "tags"]
    assert [row[name] for name in ("answer", "name", "age", "tags")] == [answer.text, "王", "", '["a", 1]']
    for text in ("3", '{"name": 1e999}'):
        assert row_of(Table([], results, delimiter=","), record, written(text))["name"] == ""


def test_an_answer_that_is_no_whole_json() -> None:
    results = ResultFields.of("answer", {"schema": PERSON}, spread=True)
    cut = CutAnswerError(written('{"name": "王', "length"))
    line = json.loads(JsonLines(results).line(InputRecord(0, 1), cut))
    assert line["answer"] == '{"name": "王'
    assert (line["finish_reason"], line["completion_tokens"]) == ("length", 2)
    assert line["error"] == "the JSON of the answer is not whole: it ended (length) after 2 tokens"
    assert "name" not in line


@pytest.mark.parametrize(
    ("answer", "schema", "problem"),
    [
        ("error", PERSON, "every result"),
        ("name", PERSON, '"name" is a field of every result'),
        ("a", {"properties": {"line": {}}}, '"line" is a field of every result'),
        ("a", {"type": "array"}, "an object with properties"),
        ("a", {"type": "array", "properties": {"a": {}}}, "an object with properties"),
        ("a", True, "an object with properties"),
        ("a", None, "it needs --schema"),
    ],
)
def test_names_that_are_taken(answer: str, schema: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        ResultFields.of(answer, {"schema": schema}, spread=True)


def test_names_that_records_may_not_have() -> None:
    assert ResultFields().more == ()
    chosen = ResultFields.of("answer", {"choice": ["是", "否"]})
    assert chosen.more == ("probability", "probabilities", "p(是)", "p(否)")
    assert ResultFields.of("answer", {"schema": PERSON}, spread=True).more == ("name", "age", "tags")

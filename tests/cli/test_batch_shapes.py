"""`belle-edge batch` with --choice and --schema: labels with probabilities, and fields out of texts."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from belle_edge import Belle
from belle_edge.cli.main import main

COMMENTS = ("这家餐厅的菜很好吃，服务也很好！", "质量太差了，用了一天就坏了。", "还可以。")
ASK = "这句评论是正面的还是负面的？{text}"
CITY: dict[str, Any] = {
    "type": "object",
    "properties": {
        "城市": {"enum": ["北京", "上海"]},
        "stars": {"type": "integer", "minimum": 1, "maximum": 5},
    },
    "required": ["城市", "stars"],
    "additionalProperties": False,
}


def answered(*arguments: str | Path) -> int:
    return main(["batch", *map(str, arguments), "--threads", "1"])


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def json_lines(path: Path, records: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), "utf-8")
    return path


@pytest.fixture
def comments(tmp_path: Path) -> Path:
    path = tmp_path / "comments.csv"
    rows = [f'{n},"{text}"' for n, text in enumerate(COMMENTS)]
    path.write_text("\n".join(["id,text", rows[0], "9", *rows[1:], ""]), "utf-8")
    return path


def test_a_table_of_labels(
    model: Path, comments: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.csv"
    options = (
        *("--template", ASK, "--choice", "正面", "--choice", "负面"),
        *("--answer-field", "label", "--temperature", "1.5"),
    )
    assert answered(model, comments, "-o", out, *options) == 3
    rows = rows_of(out)
    assert [row["error"] for row in rows] == ["", "expected 2 fields, as in the header, got 1", "", ""]
    with Belle.load(model, threads=1) as loaded:
        for row in (rows[0], *rows[2:]):
            found = loaded.choose(ASK.replace("{text}", row["text"]), ["正面", "负面"])
            assert row["label"] == found.text
            shown = [float(row[name]) for name in ("probability", "p(正面)", "p(负面)")]
            assert shown == pytest.approx([found.probability, *found.probabilities.values()], rel=1e-5)
            assert (row["finish_reason"], row["completion_tokens"]) == ("stop", str(found.completion_tokens))
    content = out.read_bytes()
    assert answered(model, comments, "-o", out, *options, "--force", "--max-batch", "1", "--seed", "5") == 3
    assert out.read_bytes() == content
    capsys.readouterr()
    assert answered(model, comments, "-o", out, *options, "--dry-run") == 3
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "4 records, 1 of them refused"
    assert said[1].endswith(" at most 3 in answers")


def test_records_with_choices_of_their_own(model: Path, tmp_path: Path) -> None:
    records: list[Any] = [
        {"id": 1, "prompt": COMMENTS[0], "choice": ["好", "坏", "好吃"]},
        {"prompt": COMMENTS[1]},
        {"prompt": "几岁？", "schema": {"type": "integer"}, "max_tokens": 9},
        {"prompt": "a", "choice": []},
        {"prompt": "a", "choice": ["a"], "probability": 1},
    ]
    source, out = json_lines(tmp_path / "in.jsonl", records), tmp_path / "out.jsonl"
    assert answered(model, source, "-o", out, "--choice", "是,否") == 3
    lines = lines_of(out)
    with Belle.load(model, threads=1) as loaded:
        for line, texts in ((lines[0], ["好", "坏", "好吃"]), (lines[1], ["是", "否"])):
            found = loaded.choose(line["prompt"], texts)
            assert (line["answer"], line["finish_reason"]) == (found.text, "stop")
            assert line["probabilities"] == pytest.approx(dict(found.probabilities), rel=1e-5)
            assert line["probability"] == line["probabilities"][line["answer"]]
    assert isinstance(json.loads(lines[2]["answer"]), int)
    assert "probabilities" not in lines[2]
    assert "at least one text" in lines[3]["error"]
    assert '"probability" is a field of the result' in lines[4]["error"]
    table = tmp_path / "out.csv"
    assert answered(model, source, "-o", table) == 3
    rows = rows_of(table)
    assert float(rows[0]["probability"]) == lines[0]["probability"]
    assert "p(好)" not in rows[0]


def test_a_job_with_other_choices_is_another_job(
    model: Path, comments: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.jsonl"
    options = ("--template", ASK, "--fail-fast", "-o", out)
    assert answered(model, comments, *options, "--choice", "正面,负面") == 1
    assert len(lines_of(out)) == 1
    capsys.readouterr()
    assert answered(model, comments, *options, "--choice", "正面,负面,都不是") == 1
    assert "something else under settings.choice" in capsys.readouterr().err
    assert answered(model, comments, *options[:2], "-o", out, "--choice", "正面,负面") == 3
    assert len(lines_of(out)) == 4
    assert answered(model, comments, "--choice", "a,") == 1
    assert "--choice: expected texts that are not empty" in capsys.readouterr().err


def test_fields_of_a_schema(model: Path, comments: Path, tmp_path: Path) -> None:
    pytest.importorskip("llguidance")
    schema, out = tmp_path / "schema.json", tmp_path / "out.csv"
    schema.write_text(json.dumps(CITY), "utf-8")
    asked = (model, comments, "--schema", schema, "--temperature", "0", "--spread")
    assert answered(*asked, "-o", out) == 3
    rows = rows_of(out)
    assert list(rows[0])[:5] == ["id", "text", "answer", "城市", "stars"]
    assert rows[1]["error"].startswith("expected 2 fields")
    for row in (rows[0], *rows[2:]):
        assert json.loads(row["answer"]) == {"城市": row["城市"], "stars": int(row["stars"])}
        assert (row["finish_reason"], row["error"]) == ("stop", "")
    lines = tmp_path / "out.jsonl"
    assert answered(*asked, "-o", lines) == 3
    assert [line.get("stars") for line in lines_of(lines)] == [
        int(row["stars"]) if row["stars"] else None for row in rows
    ]


def test_an_answer_that_is_cut_is_an_error(
    model: Path, comments: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("llguidance")
    schema, out = tmp_path / "schema.json", tmp_path / "out.jsonl"
    schema.write_text(json.dumps(CITY), "utf-8")
    cut = ("--schema", schema, "--max-tokens", "3", "--limit", "1")
    assert answered(model, comments, "-o", out, *cut, "--spread") == 3
    (line,) = lines_of(out)
    assert line["finish_reason"] == "length"
    assert line["answer"].startswith("{")
    assert line["error"] == "the JSON of the answer is not whole: it ended (length) after 3 tokens"
    assert "城市" not in line
    assert "1 of 1 records were refused" in capsys.readouterr().err
    assert answered(model, comments, "-o", tmp_path / "other.jsonl", *cut, "--fail-fast") == 1
    assert "line 2: the JSON of the answer is not whole" in capsys.readouterr().err
    plain = json_lines(tmp_path / "in.jsonl", [{"prompt": "你好", "choice": ["是"]}, {"prompt": "你好"}])
    assert answered(model, plain, "-o", tmp_path / "plain.jsonl", "--max-tokens", "1") == 0


@pytest.mark.parametrize(
    ("schema", "options", "problem"),
    [
        ('{"not": {}}', (), "--schema: $: the keyword 'not' is not supported"),
        ("{", (), "--schema: "),
        ('{"type": "array"}', ("--spread",), "--spread: expected a schema of an object"),
        (json.dumps({"properties": {"error": {}}}), ("--spread",), '"error" is a field of every result'),
    ],
)
def test_a_bad_schema_is_an_error_at_the_start(
    comments: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    schema: str,
    options: Any,
    problem: str,
) -> None:
    pytest.importorskip("llguidance")
    path = tmp_path / "schema.json"
    path.write_text(schema, "utf-8")
    assert answered("no-such-model.gguf", comments, "--schema", path, *options) == 1
    assert problem in capsys.readouterr().err
    assert answered("no-such-model.gguf", comments, "--spread") == 1
    assert "--spread: it needs --schema FILE" in capsys.readouterr().err


def test_a_column_that_a_result_has(model: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("text,p(是)\na,b\n", "utf-8")
    assert answered(model, source, "-o", out, "--choice", "是,否") == 3
    assert rows_of(out)[0]["error"].startswith('"p(是)" is a field of the result: rename it')


def test_openai_s_requests_are_written(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Choices bind what is written there; an answer that is cut says so by its finish reason, as OpenAI's do."""
    pytest.importorskip("llguidance")
    asked = {"messages": [{"role": "user", "content": COMMENTS[0]}]}
    shape = {"type": "json_schema", "json_schema": {"name": "city", "schema": CITY}}
    requests = [
        {"custom_id": "a", "url": "/v1/chat/completions", "body": asked},
        {
            "custom_id": "b",
            "url": "/v1/chat/completions",
            "body": {**asked, "response_format": shape, "max_tokens": 3},
        },
    ]
    source, out = json_lines(tmp_path / "in.jsonl", requests), tmp_path / "out.jsonl"
    assert answered(model, source, "-o", out, "--choice", "好,坏", "--seed", "2") == 0
    first, second = (line["response"]["body"]["choices"][0] for line in lines_of(out))
    with Belle.load(model, threads=1) as loaded:
        drawn = loaded.generate(COMMENTS[0], choice=["好", "坏"], seed=2)
    assert (first["message"]["content"], first["finish_reason"]) == (drawn.text, "stop")
    assert second["finish_reason"] == "length"
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(CITY), "utf-8")
    assert answered(model, source, "-o", tmp_path / "b.jsonl", "--schema", schema, "--spread") == 1
    assert "without --field, --template and --spread" in capsys.readouterr().err

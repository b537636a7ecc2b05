"""Records of an input: their fields, the line they begin in, and what is wrong with a bad one."""

from __future__ import annotations

import io
import os
from typing import Any

import pytest

from belle_edge.batch.input_records import InputRecord, count_records, form_of, read_records


def records(content: bytes, form: str, encoding: str | None = None) -> list[InputRecord]:
    found = list(read_records(io.BytesIO(content), form, encoding=encoding))
    assert [record.index for record in found] == list(range(len(found)))
    return found


def seen(content: bytes, form: str, encoding: str | None = None) -> list[tuple[int, Any]]:
    return [(record.line, record.error or dict(record.fields)) for record in records(content, form, encoding)]


def test_json_lines() -> None:
    found = seen('\ufeff{"id": 1, "prompt": "你"}\r\n\n"好"\n[1]\n{\n'.encode() + b"\xff\n{}", "jsonl")
    assert found[:3] == [(1, {"id": 1, "prompt": "你"}), (3, {"prompt": "好"}), (4, found[2][1])]
    assert [line for line, _ in found] == [1, 3, 4, 5, 6, 7]
    assert "expected a JSON object" in found[2][1]
    assert "not JSON" in found[3][1]
    assert found[4][1].startswith("not UTF-8 text")
    assert found[5][1] == {}


def test_a_table_with_quotes_and_line_breaks() -> None:
    content = '\ufeffid,text\r\n1,"a, ""b""\nc"\r\n\r\n2,x,y\r\n3,"d"e\n4,f\n'.encode()
    found = seen(content, "csv")
    assert found[0] == (2, {"id": "1", "text": 'a, "b"\nc'})
    assert found[1] == (5, "expected 2 fields, as in the header, got 3")
    assert found[2][0] == 6
    assert found[2][1].startswith("not CSV")
    assert found[3] == (7, {"id": "4", "text": "f"})
    assert seen(b'a\tb\n1\t"2\t3"\n', "tsv") == [(2, {"a": "1", "b": "2\t3"})]


@pytest.mark.parametrize("header", [b"a,,c\n1,2,3\n", b"a,b,a\n1,2,3\n"])
def test_a_header_that_does_not_name_its_columns(header: bytes) -> None:
    with pytest.raises(ValueError, match="a name of its own"):
        records(header, "csv")


def test_encodings() -> None:
    assert seen("你\n好".encode("gb18030"), "lines", "gb18030") == [(1, {"text": "你"}), (2, {"text": "好"})]
    assert seen('{"prompt": "你"}'.encode("utf-16"), "jsonl") == [(1, {"prompt": "你"})]
    (wrong,) = seen("今天的天气怎么样，我们去公园好不好".encode("gb18030"), "lines")
    assert "--encoding gb18030" in wrong[1]
    with pytest.raises(ValueError, match="UTF-16"):
        records("你好".encode("utf-16")[:-1], "lines")


def test_a_record_is_read_when_it_is_asked_for() -> None:
    source, sink = os.pipe()
    with os.fdopen(source, "rb") as file, os.fdopen(sink, "wb", 0) as pipe:
        pipe.write(b'"a"\n')
        found = read_records(file, "jsonl")
        assert next(found).fields == {"prompt": "a"}
        pipe.write(b'"b"\n')
        assert next(found).fields == {"prompt": "b"}


def test_forms_and_counts() -> None:
    names = ("a.JSONL", "a.csv", "a.tsv", "a.txt", "-")
    assert [form_of(name) for name in names] == ["jsonl", "csv", "tsv", "lines", "jsonl"]
    assert count_records(io.BytesIO(b'{\n\n"a"\n'), "jsonl") == 2
    assert count_records(io.BytesIO(b'a\n"1\n2"\n3\n'), "csv") == 2
    first, second = records(b'"a"\n"b"\n', "jsonl")
    assert first.digest != second.digest

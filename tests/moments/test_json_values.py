"""Values of JSON files of any size: lines, items of a list, and what is wrong with others, by line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from belle_edge.convert.moments import json_values as module
from belle_edge.convert.moments.json_values import json_values
from belle_edge.errors import ConversionError

RECORDS: list[Any] = [
    {"text": 'a "quoted" \\ text, [with] {marks}, 你好'},
    {"nested": [1, [2, {"x": None}], "]"], "empty": {}},
    "a string, with a comma",
    12.5,
    [],
    {"escaped": '\\\\"\n\t你'},
]


def values(path: Path, content: str | bytes) -> list[tuple[int, Any]]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(json_values(path))


def test_lines(tmp_path: Path) -> None:
    lines = "\n\n".join(
        json.dumps(record, ensure_ascii=False) for record in RECORDS if not isinstance(record, list)
    )
    expected = [(1 + 2 * place, record) for place, record in enumerate(r for r in RECORDS if r != [])]
    assert values(tmp_path / "d.jsonl", lines) == expected
    assert values(tmp_path / "d.jsonl", "\ufeff" + lines + "\r\n\r\n") == expected


@pytest.mark.parametrize("indent", [None, 0, 2])
@pytest.mark.parametrize("before", ["", "\ufeff", " \n \n"])
@pytest.mark.parametrize("piece_bytes", [1, 7, 1 << 20])
def test_the_items_of_a_list(
    tmp_path: Path, indent: int | None, before: str, piece_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However it is laid out, and wherever the pieces of the file end."""
    monkeypatch.setattr(module, "_PIECE_BYTES", piece_bytes)
    content = before + json.dumps(RECORDS, ensure_ascii=False, indent=indent) + "\n \n"
    found = values(tmp_path / "d.json", content)
    assert [value for _, value in found] == RECORDS
    lines = content.split("\n")
    starts = {line for line, _ in found}
    assert all(lines[line - 1].strip() for line in starts)
    if indent is not None:
        assert len(starts) == len(RECORDS)


def test_an_empty_list(tmp_path: Path) -> None:
    assert values(tmp_path / "d.json", "[\n]\n") == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"a": 1}\n{"a": \n', "line 2: expected JSON, got: Expecting value"),
        ('{"a": 1} x\n', "line 1: expected JSON, got: Extra data (column 10)"),
        ('\n\n{"a": 1, "a": 2}\n', "line 3: expected JSON, got: the key 'a' comes twice"),
        ('{"a": "\\ud800"}\n', "line 1: expected JSON, got: a text that is not valid Unicode"),
        (b'{"a": 1}\n{"a": "\xb1\xb1"}\n', "line 2: expected UTF-8, got byte 0xb1 at 7"),
        (b'{"a": 1}\n' + '{"a": 1}'.encode("utf-16"), "line 2: expected UTF-8, got UTF-16 or UTF-32"),
        ('[\n{"a": 1},\n{"a": }\n]', "line 3: expected JSON, got: Expecting value"),
        ('[\n{"a":\n 1,\n "b" 2}\n]', "line 4: expected JSON, got: Expecting ':' delimiter"),
        ('[\n{"a": 1}\n{"a": 2}\n]', "line 3: expected JSON, got: Extra data"),
        ('[\n{"a": 1},\n\n]', "line 4: expected JSON, got: Expecting value"),
        ('[{"a": "x},\n{"a": 2}]', "line 1: expected JSON, got: a string that is not closed"),
        ('[{"a": 1},\n{"a": 2}', "line 2: expected JSON, got: the list is not closed: is the file cut off?"),
        ('[{"a": 1},\n{"a": "2', "line 2: expected JSON, got: the list is not closed: is the file cut off?"),
        ("[1]\n\n[2]", "line 3: expected JSON, got: something follows the list"),
        ("[1]\n2", "line 2: expected JSON, got: something follows the list"),
        (b'[\n1,\n"\xff"]', "line 3: expected UTF-8, got byte 0xff at 1"),
        ("[" * 300 + "]" * 300, "line 1: expected JSON, got: expected at most 127 levels"),
    ],
)
def test_the_error_names_the_line(tmp_path: Path, content: str | bytes, expected: str) -> None:
    with pytest.raises(ConversionError) as caught:
        values(tmp_path / "d.json", content)
    assert str(caught.value).startswith(f"[{tmp_path / 'd.json'}] {expected}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("start", [b'{"text": "', b'[{"text": "', b"[[1], [", b"["])
def test_a_line_of_a_gigabyte_is_refused_in_little_memory(tmp_path: Path, start: bytes) -> None:
    """Nearly all of it is a hole that takes no disk."""
    import tracemalloc

    path = tmp_path / "d.jsonl"
    with path.open("wb") as file:
        file.write(b'{"text": "a"}\n' if start.startswith(b"{") else b"")
        file.write(start)
        file.truncate(1 << 30)
    tracemalloc.start()
    try:
        with pytest.raises(ConversionError, match=r"line [12]: expected (at most 16 MiB of text|UTF-8)"):
            list(json_values(path))
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()


def test_any_bytes_are_values_or_an_error(tmp_path: Path) -> None:
    content = json.dumps(RECORDS, ensure_ascii=False, indent=1).encode()
    generator = np.random.default_rng(0)
    path = tmp_path / "d.json"
    problems = 0
    for _ in range(300):
        variant = bytearray(content)
        for at in generator.integers(0, len(variant), 3):
            variant[at] = b'[]{},"\\\n:a\xff'[generator.integers(0, 11)]
        problems += is_refused(path, bytes(variant))
    assert problems > 100


def is_refused(path: Path, content: bytes) -> bool:
    try:
        found = [value for _, value in values(path, content)]
    except ConversionError:
        return True
    if content.lstrip().startswith(b"["):
        assert found == json.loads(content)
    return False

"""Calibration data as a user gives it: files, their order, what is held out, what is wrong with them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from belle_edge.convert.moments.data_files import bundled_files, data_files
from belle_edge.errors import ConversionError


def write(path: Path, content: str | bytes | list[Any]) -> Path:
    if isinstance(content, list):
        content = "".join(json.dumps(record) + "\n" for record in content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def found(path: Path, *, held_out: bool = False) -> list[tuple[int, str]]:
    (file,) = data_files([path])
    return [(line, text.text) for line, text in file.texts(held_out=held_out)]


def test_every_sixteenth_text_is_held_out(tmp_path: Path) -> None:
    path = write(tmp_path / "d.jsonl", [{"text": str(number)} for number in range(40)])
    held_out = [text for _, text in found(path, held_out=True)]
    assert held_out == ["1", "17", "33"]
    assert [text for _, text in found(path)] == [str(n) for n in range(40) if str(n) not in held_out]


def test_two_texts_have_one_to_measure_with_and_one_has_none(tmp_path: Path) -> None:
    assert found(write(tmp_path / "d.jsonl", ["a", "b"]), held_out=True) == [(2, "b")]
    assert found(write(tmp_path / "d.jsonl", ["a"]), held_out=True) == []
    assert found(write(tmp_path / "d.jsonl", ["a"])) == [(1, "a")]


def test_empty_records_are_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path / "d.jsonl", '{"text": ""}\n\n"a"\n{"text": " \\n"}\n"b"\n"c"\n')
    assert found(path) == [(3, "a"), (6, "c")]


def test_plain_text_keeps_its_lines_together(tmp_path: Path) -> None:
    content = "\ufeff" + "".join(f"line {number} 你好\n" for number in range(2000))
    path = write(tmp_path / "d.txt", content)
    pieces = sorted(found(path) + found(path, held_out=True))
    assert "".join(text for _, text in pieces) == content.removeprefix("\ufeff")
    assert pieces[0][0] == 1
    assert content.split("\n")[pieces[1][0] - 1].strip() == pieces[1][1].split("\n")[0].strip()
    assert len(pieces) > 5


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("d.jsonl", "", "is empty: expected texts"),
        ("d.jsonl", "\n \n", "nothing usable in it"),
        ("d.json", "[]", "nothing usable in it"),
        ("d.jsonl", [{"text": ""}], "nothing usable in it"),
        ("d.txt", " \n\n", "nothing usable in it"),
        ("d.jsonl", [{"text": "a"}, {"question": "b"}], "line 2: expected .*; found 'question'"),
        ("d.txt", b"abc\n\xc4\xe3\xba\xc3\n", "line 2: expected UTF-8, got byte 0xc4 at 0"),
        ("d.txt", "你好".encode("utf-16"), "line 1: expected UTF-8, got UTF-16"),
        ("d.jsonl", b'{"text": "a"}\n{"text": "\xc4\xe3"}\n', "line 2: expected UTF-8, got byte 0xc4 at 10"),
        ("d.jsonl", '{"text": "a"\n', "line 1: expected JSON"),
    ],
)
def test_what_cannot_be_used(tmp_path: Path, name: str, content: Any, expected: str) -> None:
    path = write(tmp_path / name, content)
    with pytest.raises(ConversionError, match=expected) as caught:
        found(path)
    assert str(path) in str(caught.value)


def test_a_line_of_plain_text_of_a_gigabyte(tmp_path: Path) -> None:
    path = tmp_path / "d.txt"
    with path.open("wb") as file:
        file.write(b"first\nsecond")
        file.truncate(1 << 30)
    with pytest.raises(ConversionError, match="line 2: expected at most 16 MiB of text"):
        found(path)


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="no such file: expected a text"):
        data_files([tmp_path / "none.jsonl"])
    with pytest.raises(ConversionError, match="expected a file, found a folder"):
        data_files([tmp_path])
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ConversionError, match="expected a file, found a pipe"):
            data_files([tmp_path / "pipe"])


def test_the_bundled_texts() -> None:
    files = bundled_files()
    assert [file.language for file in files][:2] == ["zh", "en"]
    for file in files:
        used, held_out = list(file.texts()), list(file.texts(held_out=True))
        assert len(used) >= 10
        assert len(held_out) >= 1
        assert all(len(text.messages) == 2 for _, text in used + held_out)

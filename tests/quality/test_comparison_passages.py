"""What both models of a comparison read: files to passages, and which vocabularies are the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from belle_edge._core import GgufFile
from belle_edge.convert.calibration_texts import calibration_text_paths
from belle_edge.errors import ConversionError
from belle_edge.quality.comparison.passages import (
    PassageReader,
    bundled_questions,
    text_sets,
)
from belle_edge.quality.comparison.vocabularies import common_rows
from belle_edge.quality.texts.text_files import text_files
from belle_edge.text.chat_format import ChatFormat
from belle_edge.text.tokenizer import Tokenizer
from belle_edge.text.vocabulary import TokenType


@pytest.fixture(scope="module")
def reader(converted: Callable[[str, str], Path]) -> PassageReader:
    file = GgufFile(str(converted("bloom", "q4_0")))
    return PassageReader(Tokenizer.from_metadata(file), ChatFormat.of_file(file), 256)


def write(path: Path, *values: Any) -> str:
    path.write_text("".join(f"{json.dumps(value)}\n" for value in values), encoding="utf-8")
    return str(path)


def test_dialogues_and_questions(reader: PassageReader, tmp_path: Path) -> None:
    asked = {"role": "user", "content": "你好"}
    path = write(
        tmp_path / "a.jsonl",
        {"instruction": "你好", "output": "你好！"},
        {"messages": [asked]},
        {"text": "plain text"},
    )
    (answered, alone, plain), is_cut = reader.read(text_files([path]), max_tokens=1000)
    assert not is_cut
    prompt = reader.chat_format.encode(reader.tokenizer, [{"role": "user", "content": "你好"}])
    assert answered.prompt_ids == alone.prompt_ids == alone.ids.tolist() == prompt
    assert (answered.prompt, answered.language) == ("你好", "zh")
    assert reader.tokenizer.decode(answered.targets.tolist()) == "你好！"
    assert (alone.begin, alone.end, alone.answer_at) == (0, len(prompt), len(prompt) - 1)
    assert (plain.prompt, plain.begin, plain.language) == (None, 0, "en")
    assert plain.n_positions == len(plain.targets) == len(plain.ids) - 1


def test_running_text_is_cut_as_llama_cpp_does(reader: PassageReader, tmp_path: Path) -> None:
    path = tmp_path / "story.txt"
    path.write_text("一天小明去公园。 " * 200, encoding="utf-8")
    ids = reader.tokenizer.encode(path.read_text(encoding="utf-8").removesuffix("\n"), add_eos=False)
    found, is_cut = reader.read(text_files([f"zh-x={path}"]), max_tokens=256 * 3)
    assert (len(found), is_cut) == (3, True)
    for place, passage in enumerate(found):
        assert passage.ids.tolist()[1:] == ids[place * 256 + 1 : (place + 1) * 256]
        assert (passage.begin, passage.end, passage.language) == (128, 255, "zh-x")
    path.write_text("一天", encoding="utf-8")
    (short,), _ = reader.read(text_files([str(path)]), max_tokens=256)
    assert (short.begin, short.end) == (0, len(short.ids) - 1)


def test_files_take_turns_up_to_the_bound(reader: PassageReader, tmp_path: Path) -> None:
    files = [
        write(tmp_path / f"{name}.jsonl", *[{"text": f"{name} {n} " + "word " * 20} for n in range(20)])
        for name in ("a", "b")
    ]
    found, is_cut = reader.read(text_files(files), max_tokens=600)
    assert is_cut
    assert [passage.file for passage in found[:4]] == ["a.jsonl", "b.jsonl"] * 2
    sets = text_sets(found)
    assert sum(texts.n_tokens for texts in sets) <= 600
    assert [(texts.language, texts.name) for texts in sets] == [("en", "a.jsonl"), ("en", "b.jsonl")]
    assert len({texts.sha256 for texts in sets}) == 2
    with pytest.raises(ConversionError, match="no text of it has at most 5 tokens"):
        reader.read(text_files(files), max_tokens=5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "fine"}\n{"instruction": "x"}\n', r"bad\.jsonl\] line 2: expected"),
        ('{"text": "fine"}\n{"text": \n', r"bad\.jsonl\] line 2"),
        ('{"instruction": "x", "output": ""}\n', r"bad\.jsonl\] line 1: expected a text of 2 to 256 tokens"),
        ('{"text": ""}\n', r"bad\.jsonl\] nothing usable"),
        ("", r"bad\.jsonl\] is empty"),
    ],
)
def test_bad_data_is_named_by_file_and_line(
    content: str, message: str, reader: PassageReader, tmp_path: Path
) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConversionError, match=message):
        reader.read(text_files([str(path)]), max_tokens=1000)


def test_bundled_questions_were_never_calibrated_on() -> None:
    def questions(path: Path) -> list[str]:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [
            " ".join((record["instruction"], record.get("input", ""))) for record in map(json.loads, lines)
        ]

    asked = [question for file in bundled_questions() for question in questions(file.path)]
    seen = {question for path in calibration_text_paths() for question in questions(path)}
    assert len(asked) == len({*asked}) == 48
    assert not seen & {*asked}


def test_vocabularies(reader: PassageReader) -> None:
    mine = reader.tokenizer.vocabulary
    n = len(mine)
    padded = replace(mine, tokens=[*mine.tokens, "[PAD1]"], types=[*mine.types, TokenType.UNUSED])
    assert common_rows(mine, mine, name="x") == n
    assert common_rows(mine, padded, name="x") == common_rows(padded, mine, name="x") == n
    more = replace(mine, tokens=[*mine.tokens, "more"], types=[*mine.types, TokenType.NORMAL])
    with pytest.raises(
        ConversionError, match=rf"\[x\] {n + 1:,} tokens, but {n:,} .* token {n} \('more'\) is no"
    ):
        common_rows(mine, more, name="x")
    tokens = list(mine.tokens)
    tokens[300] = "elsewhere"
    with pytest.raises(ConversionError, match=r"\[x\] token 300 is 'elsewhere', but .* the same vocabulary"):
        common_rows(mine, replace(mine, tokens=tokens), name="x")
    with pytest.raises(ConversionError, match="joins texts in another way"):
        common_rows(mine, replace(mine, merges=mine.merges[1:]), name="x")

"""Texts that files are measured on: their languages and places, windows, what of them is scored."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from belle_edge._core import GgufFile
from belle_edge.errors import ConversionError
from belle_edge.quality.texts.language import language_by_script
from belle_edge.quality.texts.scored_text import answer_text, windows
from belle_edge.quality.texts.text_files import Record, records, running_text, text_files
from belle_edge.text.chat_format import ChatFormat
from belle_edge.text.tokenizer import Tokenizer

ASKED = [{"role": "user", "content": "你好"}]
ANSWERED = [*ASKED, {"role": "assistant", "content": "你好！"}]


def write(path: Path, values: list[Any]) -> Path:
    path.write_text("".join(f"{json.dumps(value)}\n" for value in values), encoding="utf-8")
    return path


def only(path: Path, *values: Any) -> Record:
    (record,) = records(text_files([str(write(path, list(values)))])[0])
    return record


@pytest.fixture(scope="module")
def metadata(converted: Callable[[str, str], Path]) -> GgufFile:
    return GgufFile(str(converted("bloom", "q4_0")))


@pytest.fixture(scope="module")
def tokenizer(metadata: GgufFile) -> Tokenizer:
    return Tokenizer.from_metadata(metadata)


@pytest.fixture(scope="module")
def chat_format(metadata: GgufFile) -> ChatFormat:
    return ChatFormat.of_file(metadata)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("北京是中国的首都 (Beijing)。", "zh"),
        ("Beijing (北京) is the capital.", "en"),
        ("Столица России", "other"),
        ("こんにちは、世界", "other"),
        ("1 + 1 = 2", "other"),
        ("", "other"),
    ],
)
def test_language_by_script(text: str, language: str) -> None:
    assert language_by_script(text) == language


def test_a_record_is_in_the_language_that_is_named_first(tmp_path: Path) -> None:
    values = [
        {"text": "Hi", "language": "fr"},
        {"text": "Hi", "lang": "de"},
        {"text": "Hi", "lang": 3},
        "你好",
    ]
    path = write(tmp_path / "d.jsonl", values)
    found = list(records(text_files([str(path)])[0]))
    assert [record.language for record in found] == ["fr", "de", "en", "zh"]
    assert [record.place for record in found] == ["d.jsonl:1", "d.jsonl:2", "d.jsonl:3", "d.jsonl:4"]
    named = records(text_files([f"zh-Hans={path}"])[0])
    assert {record.language for record in named} == {"zh-Hans"}


def test_an_equals_sign_in_the_name_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "zh=d.jsonl", ["Hello"])
    monkeypatch.chdir(tmp_path)
    (file,) = text_files(["zh=d.jsonl"])
    assert (file.language, file.path.name) == (None, "zh=d.jsonl")
    with pytest.raises(ConversionError, match=r"\[none.jsonl\] no such file"):
        text_files(["en=none.jsonl"])


def test_a_wrong_record_names_file_and_line(tmp_path: Path) -> None:
    path = write(tmp_path / "d.jsonl", ["a", {"question": "b"}])
    with pytest.raises(ConversionError, match=r"d\.jsonl\] line 2: expected .*; found 'question'"):
        list(records(text_files([str(path)])[0]))


def test_running_text_loses_a_mark_and_one_line_break(tmp_path: Path) -> None:
    path = tmp_path / "d.txt"
    path.write_bytes("\ufeff一\r\n二\n\n".encode())
    assert running_text(text_files([str(path)])[0]) == "一\r\n二\n"


def test_windows_are_the_text_in_order_with_half_of_each_scored(tokenizer: Tokenizer) -> None:
    text = "北京是中国的首都。" * 30
    ids = tokenizer.encode(text, add_eos=False)
    n_context = 16
    found = windows(text, tokenizer, n_context=n_context)
    assert len(found) == len(ids) // n_context
    assert not tokenizer.vocabulary.add_bos
    for place, window in enumerate(found):
        assert window.ids.tolist() == ids[place * n_context : (place + 1) * n_context]
        assert (window.first, window.n_scored) == (9, 7)  # n_ctx - 1 - n_ctx / 2, as llama.cpp counts
    assert len(windows(text, tokenizer, n_context=n_context, most=2)) == 2


def test_bos_begins_each_window_where_the_model_adds_one(
    checkpoint: Callable[[str], Path], converted: Callable[[str, str], Path]
) -> None:
    tokenizer = Tokenizer.from_metadata(GgufFile(str(converted("llama", "q8_0"))))
    assert tokenizer.vocabulary.add_bos
    found = windows("Once upon a time. " * 20, tokenizer, n_context=8)
    assert {int(window.ids[0]) for window in found} == {tokenizer.vocabulary.bos_id}
    assert all(tokenizer.vocabulary.bos_id not in window.ids[1:] for window in found)


def test_a_text_shorter_than_two_windows(tokenizer: Tokenizer) -> None:
    n_ids = len(tokenizer.encode("短文。", add_eos=False))
    expected = rf"\[d.txt\] its {n_ids} tokens are too few: windows of 512 tokens need at least 1,024"
    with pytest.raises(ValueError, match=expected):
        windows("短文。", tokenizer, n_context=512, name="d.txt")
    with pytest.raises(ValueError, match="at least 4 tokens"):
        windows("短文。", tokenizer, n_context=3)


@pytest.mark.parametrize("earlier", [[], ANSWERED], ids=["one turn", "two turns"])
def test_the_last_answer_is_scored(
    tmp_path: Path, tokenizer: Tokenizer, chat_format: ChatFormat, earlier: list[Any]
) -> None:
    record = only(tmp_path / "d.jsonl", {"messages": [*earlier, *ANSWERED]})
    scored = answer_text(record, tokenizer, chat_format, most_tokens=512)
    before = chat_format.encode(tokenizer, [*earlier, *ASKED])
    assert scored.ids[: scored.first].tolist() == before
    assert tokenizer.decode(scored.ids[scored.first :].tolist()) == "你好！"
    assert not scored.is_cut


def test_a_bound_cuts_the_answer(tmp_path: Path, tokenizer: Tokenizer, chat_format: ChatFormat) -> None:
    record = only(tmp_path / "d.jsonl", {"instruction": "你好", "output": "好" * 50})
    whole = answer_text(record, tokenizer, chat_format, most_tokens=512)
    cut = answer_text(record, tokenizer, chat_format, most_tokens=whole.first + 3)
    assert (cut.n_scored, cut.is_cut) == (3, True)
    assert np.array_equal(cut.ids, whole.ids[: whole.first + 3])
    assert answer_text(record, tokenizer, chat_format, most_tokens=2).n_scored == 0


def test_a_text_without_a_dialogue_is_scored_whole(
    tmp_path: Path, tokenizer: Tokenizer, chat_format: ChatFormat
) -> None:
    scored = answer_text(only(tmp_path / "d.jsonl", "你好！"), tokenizer, chat_format, most_tokens=512)
    assert (scored.ids.tolist(), scored.first) == (tokenizer.encode("你好！", add_eos=False), 1)


def test_a_question_without_an_answer(tmp_path: Path, tokenizer: Tokenizer, chat_format: ChatFormat) -> None:
    record = only(tmp_path / "d.jsonl", {"messages": ASKED})
    with pytest.raises(ConversionError, match=r"d\.jsonl\] line 1: expected an answer to score"):
        answer_text(record, tokenizer, chat_format, most_tokens=512)

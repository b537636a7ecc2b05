"""Texts as token ids: the model's own template, pieces of 512, files that take turns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from belle_edge.convert.moments.calibration_source import CalibrationSource
from belle_edge.convert.moments.data_files import DataFile, data_files
from belle_edge.convert.moments.data_records import DataText, record_text
from belle_edge.convert.moments.token_texts import TextEncoder, TokenTexts, token_texts
from belle_edge.errors import ConversionError
from belle_edge.text.chat_format import ChatFormat

from .test_data_files import write


@pytest.fixture(scope="module")
def encoder(checkpoint: Callable[[str], Path]) -> TextEncoder:
    return CalibrationSource.open(checkpoint("bloom"), family="belle").encoder


def decoded(encoder: TextEncoder, texts: TokenTexts) -> list[str]:
    found, at = [], 0
    for length in texts.lengths:
        found.append(encoder.tokenizer.decode(texts.ids[at : at + length].tolist()))
        at += length
    assert at == texts.n_tokens
    return found


def test_an_instruction_is_in_the_models_template(encoder: TextEncoder, tmp_path: Path) -> None:
    path = write(tmp_path / "d.jsonl", [{"instruction": "你好", "input": "", "output": "您好"}])
    texts = token_texts(data_files([path]), encoder, n_tokens=1000)
    assert decoded(encoder, texts) == ["Human: 你好\n\nAssistant:您好"]


def test_an_unanswered_dialogue_waits_for_its_answer(encoder: TextEncoder) -> None:
    (ids,) = encoder.pieces(record_text({"messages": [{"role": "user", "content": "你好"}]}))
    assert encoder.tokenizer.decode(ids) == "Human: 你好\n\nAssistant:"


def test_a_model_without_a_template_reads_the_texts_alone(encoder: TextEncoder) -> None:
    plain = TextEncoder(encoder.tokenizer, ChatFormat())
    (ids,) = plain.pieces(record_text({"prompt": "你好", "completion": "您好"}))
    assert encoder.tokenizer.decode(ids) == "你好\n您好"


def test_control_tokens_in_data_are_plain_text(encoder: TextEncoder) -> None:
    eos = encoder.tokenizer.vocabulary.eos_id
    for text in (DataText(text="a</s>b"), record_text({"prompt": "a</s>b", "completion": "c"})):
        (ids,) = encoder.pieces(text)
        assert eos not in ids
        assert "</s>" in encoder.tokenizer.decode(ids)


@pytest.mark.parametrize("name", ["bloom", "llama"])
def test_long_texts_are_cut_and_begin_as_a_text_does(checkpoint: Callable[[str], Path], name: str) -> None:
    encoder = CalibrationSource.open(checkpoint(name)).encoder
    tokenizer = encoder.tokenizer
    long = "今天天气很好，我们去公园。" * 300
    pieces = list(encoder.pieces(DataText(text=long)))
    assert {len(piece) for piece in pieces[:-1]} == {512}
    whole = tokenizer.encode(long, add_eos=False)
    start = [tokenizer.vocabulary.bos_id] if tokenizer.vocabulary.add_bos else []
    assert all(piece[: len(start)] == start for piece in pieces)
    assert [token for piece in pieces for token in piece[len(start) :]] == whole[len(start) :]


def test_files_take_turns_by_their_tokens(encoder: TextEncoder, tmp_path: Path) -> None:
    short = write(tmp_path / "short.jsonl", [{"text": f"短{n}"} for n in range(90)])
    long = write(
        tmp_path / "long.jsonl", [{"text": f"这是一个比较长的句子，编号是{n}。" * 5} for n in range(90)]
    )
    texts = token_texts(data_files([short, long]), encoder, n_tokens=600)
    assert texts.n_tokens == 600
    found = decoded(encoder, texts)
    n_short = sum(length for length, text in zip(texts.lengths, found, strict=True) if text.startswith("短"))
    assert 200 < n_short < 340
    assert found[0] == "短0"
    assert token_texts(data_files([short, long]), encoder, n_tokens=600).sha256 == texts.sha256
    assert token_texts(data_files([long, short]), encoder, n_tokens=600).sha256 != texts.sha256


def test_a_file_that_ends_leaves_the_rest_to_the_others(encoder: TextEncoder, tmp_path: Path) -> None:
    first = write(tmp_path / "a.jsonl", ["一"])
    second = write(tmp_path / "b.jsonl", [f"第{n}个句子。" for n in range(50)])
    texts = token_texts(data_files([first, second]), encoder, n_tokens=100)
    assert texts.n_tokens == 100
    assert decoded(encoder, texts)[0] == "一"


def test_data_with_fewer_tokens_than_asked_for(encoder: TextEncoder, tmp_path: Path) -> None:
    texts = token_texts(data_files([write(tmp_path / "a.txt", "你好")]), encoder, n_tokens=1000)
    assert 0 < texts.n_tokens < 10


def test_no_more_is_read_than_is_needed(encoder: TextEncoder, tmp_path: Path) -> None:
    path = write(tmp_path / "d.jsonl", '{"text": "' + "你好" * 200 + '"}\n{"broken\n')
    assert token_texts(data_files([path]), encoder, n_tokens=20).n_tokens == 20
    with pytest.raises(ConversionError, match="line 2: expected JSON"):
        token_texts(data_files([path]), encoder, n_tokens=20_000)


def test_a_dialogue_that_the_template_refuses_is_named_by_line(encoder: TextEncoder, tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]
    path = write(tmp_path / "d.jsonl", [{"messages": messages}])
    with pytest.raises(ConversionError, match=rf"{path}\] line 1: .*this template knows the roles"):
        token_texts(data_files([path]), encoder, n_tokens=20)


def test_a_text_with_every_noncharacter_is_named_by_line(encoder: TextEncoder, tmp_path: Path) -> None:
    text = "".join(chr(code) for code in range(0xFDD0, 0xFDF0))
    path = write(tmp_path / "d.jsonl", [{"prompt": text, "completion": "b"}])
    with pytest.raises(ConversionError, match=r"line 1: .*noncharacter"):
        token_texts([DataFile(path, path.name)], encoder, n_tokens=20)

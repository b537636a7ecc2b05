"""SentencePiece vocabularies rebuilt from GGUF tables, against llama.cpp's cases and the real library."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from belle_edge.errors import ModelFormatError
from belle_edge.text.tokenizer import StreamDecoder, Tokenizer

SEPARATOR = "\n__ggml_vocab_test__\n"


@pytest.fixture(scope="module")
def llama(test_data: Path) -> Tokenizer:
    from belle_edge._core import GgufFile

    return Tokenizer.from_metadata(GgufFile(str(test_data / "tokenizers/llama/ggml-vocab-llama-spm.gguf")))


@pytest.fixture(scope="module")
def chinese(test_data: Path) -> tuple[Tokenizer, Any]:
    """The extended vocabulary (49,953 pieces): ours from its tables, the library with the original file."""
    from sentencepiece import SentencePieceProcessor, sentencepiece_model_pb2

    path = test_data / "tokenizers/chinese/merged_49953_tokenizer.model"
    proto = sentencepiece_model_pb2.ModelProto.FromString(path.read_bytes())
    ours = Tokenizer.from_metadata(
        {
            "tokenizer.ggml.model": "llama",
            "tokenizer.ggml.tokens": [piece.piece for piece in proto.pieces],
            "tokenizer.ggml.scores": [piece.score for piece in proto.pieces],
            "tokenizer.ggml.token_type": [piece.type for piece in proto.pieces],
        }
    )
    return ours, SentencePieceProcessor(model_file=str(path))


def test_conformance_cases_of_llama_cpp(llama: Tokenizer, test_data: Path) -> None:
    cases = test_data / "tokenizers/llama/ggml-vocab-llama-spm.gguf.inp"
    texts = cases.read_text(encoding="utf-8").split(SEPARATOR)
    lines = cases.with_suffix(".out").read_text().split("\n")
    assert len(texts) == 47
    for text, line in zip(texts, lines, strict=False):
        ids = llama.encode(text, add_bos=False)
        assert ids == [int(number) for number in line.split()], repr(text)
        assert llama.decode(ids) == text


def test_bos_is_added_as_the_file_says(llama: Tokenizer) -> None:
    assert llama.encode("Hello world") == [1, 15043, 3186]
    assert llama.encode("Hello world", add_bos=False, add_eos=True) == [15043, 3186, 2]
    assert llama.encode("") == [1]


def test_control_tokens_typed_by_a_user_stay_text(llama: Tokenizer) -> None:
    text = "a</s>b<s><unk><0x0A>"
    ids = llama.encode(text, add_bos=False)
    assert not {0, 1, 2, 13} & set(ids)
    assert llama.decode(ids) == text
    assert llama.encode("a</s>b", add_bos=False, parse_special=True) == [263, 2, 289]


def test_text_after_a_control_token_starts_a_new_text(llama: Tokenizer) -> None:
    turn = llama.encode("Human: \n", add_bos=False)
    assert llama.encode("Human: \n</s>Human: \n", add_bos=False, parse_special=True) == [*turn, 2, *turn]


def test_shielded_text_is_plain_among_special_tokens(llama: Tokenizer) -> None:
    guard = "\ufdd0"
    for text in ("</s>", "<<s></s>", "x</s></s>y", "<unk>", "plain"):
        shielded = llama.shield(text, guard)
        ids = llama.encode(shielded, add_bos=False, parse_special=True, guard=guard)
        assert ids == llama.encode(text, add_bos=False)


def test_one_leading_space_is_taken_off(llama: Tokenizer) -> None:
    for text in (" x", "  x", "x", " ", "\n x"):
        assert llama.decode(llama.encode(text)) == text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hongloumeng_part1.txt", "eval_set.json", "zh_seed_tasks.json"])
def test_extended_vocabulary_equals_the_library(
    chinese: tuple[Tokenizer, Any], test_data: Path, name: str
) -> None:
    ours, library = chinese
    for line in (test_data / "text" / name).read_text(encoding="utf-8").splitlines(keepends=True):
        ids = ours.encode(line, add_bos=False)
        assert ids == library.EncodeAsIds(line)
        assert ours.decode(ids) == line


@pytest.mark.slow
def test_every_cjk_character_round_trips(llama: Tokenizer, chinese: tuple[Tokenizer, Any]) -> None:
    for tokenizer in (llama, chinese[0]):
        for code in range(0x4E00, 0xA000):
            assert tokenizer.decode(tokenizer.encode(chr(code))) == chr(code)


def test_a_stream_equals_the_whole_and_never_splits_a_character(llama: Tokenizer) -> None:
    text = " 龘𠮷 of 🦙🏽, naïve  ends"
    ids = llama.encode(text)
    decoder = StreamDecoder(llama)
    pieces = [decoder.push(token_id) for token_id in ids]
    assert "".join(pieces) + decoder.flush() == text == llama.decode(ids)
    assert not any("\ufffd" in piece for piece in pieces)


def test_a_stream_of_random_ids_equals_the_whole(llama: Tokenizer) -> None:
    generator = random.Random(7)
    for _ in range(300):
        ids = [generator.randrange(3, 259 if generator.random() < 0.5 else 32000) for _ in range(20)]
        decoder = StreamDecoder(llama)
        streamed = "".join([decoder.push(token_id) for token_id in ids]) + decoder.flush()
        data = b"".join([llama.token_bytes(token_id) for token_id in ids])
        assert streamed == llama.decode(ids) == data.decode("utf-8", "replace").removeprefix(" ")


def test_odd_tables_are_tolerated(sentencepiece_tables: dict[str, Any]) -> None:
    tokenizer = Tokenizer.from_metadata(sentencepiece_tables)
    tokens = sentencepiece_tables["tokenizer.ggml.tokens"]
    ids = tokenizer.encode("hello你<tool>好", add_bos=False)
    assert ids[:2] == [tokens.index("▁hello"), tokens.index("你")]
    assert ids[2] == tokens.index("<tool>")  # user-defined: found in plain text
    assert ids[3] == tokens.index("▁")  # llama.cpp starts a new text behind it
    assert len(ids) == 7  # 好 as three bytes
    assert tokenizer.decode(ids) == "hello你<tool> 好"
    assert tokenizer.decode([tokens.index("[PAD273]"), tokens.index("")]) == ""
    assert tokenizer.decode([1, 2, 0]) == "\ufffd"


def test_no_space_prefix(sentencepiece_tables: dict[str, Any]) -> None:
    tokenizer = Tokenizer.from_metadata({**sentencepiece_tables, "tokenizer.ggml.add_space_prefix": False})
    assert tokenizer.decode(tokenizer.encode(" hello")) == " hello"
    assert tokenizer.encode("hello", add_bos=False) != tokenizer.encode(" hello", add_bos=False)


def test_without_an_unknown_piece_or_all_bytes(sentencepiece_tables: dict[str, Any]) -> None:
    types = list(sentencepiece_tables["tokenizer.ggml.token_type"])
    types[0], types[3] = 3, 1  # <unk> is an ordinary control token, <0x00> an ordinary piece
    tables = {**sentencepiece_tables, "tokenizer.ggml.token_type": types}
    tokenizer = Tokenizer.from_metadata(tables)
    assert tokenizer.decode(tokenizer.encode("hello你")) == "hello你"


def test_missing_scores_are_refused(sentencepiece_tables: dict[str, Any]) -> None:
    del sentencepiece_tables["tokenizer.ggml.scores"]
    with pytest.raises(ModelFormatError, match=r"tokenizer\.ggml\.scores is missing"):
        Tokenizer.from_metadata(sentencepiece_tables)

"""Byte-level BPE rebuilt from GGUF tables, against the real tokenizers' ids and token boundaries."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from belle_edge.errors import ModelFormatError, UnsupportedModelError
from belle_edge.text.pre_tokenizers import PRE_TOKENIZERS
from belle_edge.text.tokenizer import StreamDecoder, Tokenizer


@pytest.fixture(scope="module", params=["bloom", "belle-tiny-zh"])
def both(request: pytest.FixtureRequest, checkpoint: Callable[[str], Path]) -> tuple[Tokenizer, Any]:
    """A trained vocabulary: ours from its tables, and the library with the original file."""
    from tokenizers import Tokenizer as HfTokenizer

    path = checkpoint(request.param) / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    vocabulary = content["model"]["vocab"]
    special = {entry["id"] for entry in content["added_tokens"]}
    merges = content["model"]["merges"]
    ours = Tokenizer.from_metadata(
        {
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.pre": "bloom",
            "tokenizer.ggml.tokens": sorted(vocabulary, key=vocabulary.__getitem__),
            "tokenizer.ggml.token_type": [3 if index in special else 1 for index in range(len(vocabulary))],
            "tokenizer.ggml.merges": [
                merge if isinstance(merge, str) else " ".join(merge) for merge in merges
            ],
            "tokenizer.ggml.bos_token_id": 1,
            "tokenizer.ggml.eos_token_id": 2,
        }
    )
    return ours, HfTokenizer.from_file(str(path))


def test_no_bloom_token_crosses_a_boundary_of_our_pre_tokenizer(test_data: Path) -> None:
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split

    split = Split(Regex(PRE_TOKENIZERS["bloom"].steps[0]), "isolated")
    pre_tokenizer = Sequence([split, ByteLevel(add_prefix_space=False, use_regex=False)])
    cases = json.loads((test_data / "tokenizers/bloom/bloom_expected_ids.json").read_text(encoding="utf-8"))
    checked = [case for case in cases if case.get("tokens")]
    assert len(checked) > 20
    for case in checked:
        words = [word for word, _ in pre_tokenizer.pre_tokenize_str(case["text"])]
        assert _ends(words) <= _ends(case["tokens"]), case["name"]
        assert "".join(words) == "".join(case["tokens"])


def _ends(parts: list[str]) -> set[int]:
    ends, position = set(), 0
    for part in parts:
        position += len(part)
        ends.add(position)
    return ends


@pytest.mark.slow
def test_ids_equal_the_library(both: tuple[Tokenizer, Any], test_data: Path) -> None:
    ours, library = both
    items = json.loads((test_data / "models/belle-tiny-zh/val.json").read_text(encoding="utf-8"))
    texts = [item[key] for item in items for key in ("instruction", "output")]
    texts += (test_data / "text/eval_set.json").read_text(encoding="utf-8").splitlines(keepends=True)
    assert len(texts) > 2000
    for text in texts:
        ids = ours.encode(text)
        assert ids == library.encode(text, add_special_tokens=False).ids
        assert ours.decode(ids) == text


@pytest.mark.slow
def test_every_cjk_character_round_trips(both: tuple[Tokenizer, Any]) -> None:
    for code in range(0x4E00, 0xA000):
        assert both[0].decode(both[0].encode(chr(code))) == chr(code)


def test_a_stream_of_random_ids_equals_the_whole(both: tuple[Tokenizer, Any]) -> None:
    generator = random.Random(3)
    for _ in range(500):
        ids = [generator.randrange(both[1].get_vocab_size()) for _ in range(generator.randrange(1, 15))]
        decoder = StreamDecoder(both[0])
        streamed = "".join([decoder.push(token_id) for token_id in ids]) + decoder.flush()
        data = b"".join([both[0].token_bytes(token_id) for token_id in ids])
        assert streamed == both[0].decode(ids) == data.decode("utf-8", "replace")


def test_a_stream_waits_for_the_whole_character(byte_level_tables: dict[str, Any]) -> None:
    tokenizer = Tokenizer.from_metadata(byte_level_tables)
    ids = tokenizer.encode("你好")
    assert len(ids) == 4  # one merged token, three bytes
    decoder = StreamDecoder(tokenizer)
    assert [decoder.push(token_id) for token_id in ids] == ["你", "", "", "好"]
    assert decoder.flush() == ""
    decoder.push(ids[1])
    assert decoder.flush() == "\ufffd"


def test_special_user_defined_and_unused_tokens(byte_level_tables: dict[str, Any]) -> None:
    tokenizer = Tokenizer.from_metadata(byte_level_tables)
    tool = byte_level_tables["tokenizer.ggml.tokens"].index("<|tool|>")
    assert tokenizer.encode("hello<|tool|> hello")[1] == tool
    assert 2 not in tokenizer.encode("</s>")
    assert tokenizer.encode("</s>", parse_special=True) == [2]
    assert tokenizer.decode([1, tool, 2, tool + 1, tool + 2]) == "<|tool|>"
    assert tokenizer.decode([1, tool + 2], skip_special=False) == "<s>[PAD269]"
    assert tokenizer.encode("") == []
    assert tokenizer.encode("hello", add_bos=True, add_eos=True)[::2] == [1, 2]


def test_ids_outside_and_bad_text_are_refused(byte_level_tables: dict[str, Any]) -> None:
    tokenizer = Tokenizer.from_metadata(byte_level_tables)
    for token_id in (-1, len(tokenizer)):
        with pytest.raises(ValueError, match="outside the vocabulary"):
            tokenizer.decode([token_id])
    with pytest.raises(ValueError, match="lone surrogate at index 1"):
        tokenizer.encode("a\ud800")


def test_an_unknown_pre_tokenizer_is_refused_by_name(byte_level_tables: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedModelError, match=r"'unheard-of'.*llama\.cpp"):
        Tokenizer.from_metadata({**byte_level_tables, "tokenizer.ggml.pre": "unheard-of"})


@pytest.mark.parametrize(
    ("pre", "expected"), [("smollm", ["hello", " ", "1", "2", "3"]), ("gpt-2", ["hello", " 123"])]
)
def test_digits_that_stand_alone(byte_level_tables: dict[str, Any], pre: str, expected: list[str]) -> None:
    tokens = byte_level_tables["tokenizer.ggml.tokens"]
    merges = [*byte_level_tables["tokenizer.ggml.merges"], "1 2", "12 3", "Ġ 123"]
    tables = {**byte_level_tables, "tokenizer.ggml.merges": merges, "tokenizer.ggml.pre": pre}
    tables["tokenizer.ggml.tokens"] = [*tokens, "12", "123", "Ġ123"]
    tables["tokenizer.ggml.token_type"] = [*byte_level_tables["tokenizer.ggml.token_type"], 1, 1, 1]
    tokenizer = Tokenizer.from_metadata(tables)
    ids = tokenizer.encode("hello 123")
    assert [tokenizer.decode([token_id]) for token_id in ids] == expected


def test_bloom_without_a_named_pre_tokenizer(byte_level_tables: dict[str, Any]) -> None:
    del byte_level_tables["tokenizer.ggml.pre"]
    with pytest.raises(UnsupportedModelError):
        Tokenizer.from_metadata(byte_level_tables)
    byte_level_tables["general.architecture"] = "bloom"
    assert Tokenizer.from_metadata(byte_level_tables).vocabulary.pre == "bloom"


@pytest.mark.parametrize(("pre", "text"), [("gpt-2", "it's  12 x!!"), ("llama-bpe", "It'S  1234\n\n x!!\n")])
def test_other_pre_tokenizers_lose_nothing(byte_level_tables: dict[str, Any], pre: str, text: str) -> None:
    tokenizer = Tokenizer.from_metadata({**byte_level_tables, "tokenizer.ggml.pre": pre})
    assert tokenizer.decode(tokenizer.encode(text, add_bos=False)) == text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"merges": ["x nothing"]}, "merges does not fit"),
        ({"merges": ["nospace"]}, "merges does not fit"),
        ({"token_type": [1]}, "expected 270 entries, got 1"),
        ({"tokens": []}, "missing or empty"),
        ({"tokens": [1, 2]}, "array of strings"),
        ({"eos_token_id": 999}, "eos_token_id: 999 is outside"),
        ({"model": None}, "carries no tokenizer"),
        ({"tokens": ["x"] * 270, "merges": [], "unknown_token_id": None}, "byte tokens are missing"),
    ],
)
def test_broken_tables_are_refused(
    byte_level_tables: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    changed = {f"tokenizer.ggml.{key}": value for key, value in change.items()}
    with pytest.raises(ModelFormatError, match=message):
        Tokenizer.from_metadata({**byte_level_tables, **changed})


def test_another_tokenizer_model_is_refused(byte_level_tables: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedModelError, match="'t5' is not implemented"):
        Tokenizer.from_metadata({**byte_level_tables, "tokenizer.ggml.model": "t5"})


def test_what_ends_a_generation(byte_level_tables: dict[str, Any]) -> None:
    tables = dict(byte_level_tables)
    tokens = [*tables["tokenizer.ggml.tokens"], "<|im_end|>", "<eot>"]
    types = [*tables["tokenizer.ggml.token_type"], 3, 1]
    types[2] = 1  # an EOS that the file calls an ordinary token
    tables |= {"tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": types}
    tables |= {"tokenizer.ggml.eot_token_id": 271, "tokenizer.ggml.padding_token_id": 0xFFFFFFFF}
    vocabulary = Tokenizer.from_metadata(tables).vocabulary
    assert vocabulary.end_ids == {2, 270, 271}
    assert vocabulary.types[2] == vocabulary.types[271] == 3
    assert vocabulary.padding_id is None

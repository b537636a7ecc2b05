"""Long texts in pieces: the ids of the whole, bounded memory, and a prompt that cannot fit is not encoded at all."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from belle_edge import Belle
from belle_edge.text import long_text
from belle_edge.text.long_text import LongText
from belle_edge.text.pre_tokenizers import PRE_TOKENIZERS
from belle_edge.text.tokenizer import Tokenizer

from ..api.tiny_models import write_tiny_model
from .hard_texts import telling_vocabulary

PARTS = [
    *"abceilmnorstABZ019",
    *"你好世界的一了红楼梦龥﨑々",
    *" \n\t\r.,!?;:'\"-_(|[])/\\",
    *"。，、！？…—“”·\u3000\u00a0\u2581\u200b\ufeff\U0001f600é\u0301ñżßٻठ۔،",
    *[
        "  ",
        "\n\n",
        "\r\n",
        "'s",
        "'re",
        "'LL",
        "n't",
        " hello",
        "hello",
        "你好",
        "▁▁",
        "</s>",
        "<s>",
        "<|tool|>",
        "<tool>",
    ],
]


def random_texts(seed: int, *, n_parts: int = 400) -> Iterator[str]:
    """Any mixture, then mixtures of a few parts each, which repeat themselves."""
    chance = random.Random(seed)
    yield "".join(chance.choices(PARTS, k=n_parts))
    for _ in range(6):
        yield "".join(chance.choices(chance.sample(PARTS, 5), k=n_parts))


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_text, "PIECE_CHARS", 5)


def check(tokenizer: Tokenizer, texts: Iterator[str]) -> int:
    """Compare with the whole text encoded at once; returns the number of pieces."""
    lengths = LongText(tokenizer.vocabulary)
    n_pieces = 0
    for text in texts:
        pieces = list(lengths.pieces(text))
        assert "".join(pieces) == text
        whole = tokenizer._encode_plain(text)
        assert tokenizer.encode(text, add_bos=False) == whole or "<" in text, repr(text)
        cut = tokenizer._encode_plain(pieces[0])
        cut += [token_id for piece in pieces[1:] for token_id in tokenizer._encode_inner(piece)]
        assert cut == whole, repr(text)
        assert lengths.fewest_tokens(len(text), len(text.encode())) <= len(whole)
        n_pieces += len(pieces)
    return n_pieces


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("pre", {splits: name for name, splits in PRE_TOKENIZERS.items()}.values())
def test_pieces_of_byte_level_texts(pre: str, byte_level_tables: dict[str, Any]) -> None:
    n_pieces = 0
    for tables in (byte_level_tables, telling_vocabulary()):
        tokenizer = Tokenizer.from_metadata(
            {**tables, "tokenizer.ggml.pre": pre, "tokenizer.ggml.add_bos_token": False}
        )
        n_pieces += sum(check(tokenizer, random_texts(seed)) for seed in range(4))
    assert n_pieces > (100 if pre == "superbpe" else 700), "else hardly anything was cut"


@pytest.mark.usefixtures("small_pieces")
def test_pieces_of_sentencepiece_texts(sentencepiece_tables: dict[str, Any]) -> None:
    tokenizer = Tokenizer.from_metadata(sentencepiece_tables)
    assert sum(check(tokenizer, random_texts(seed)) for seed in range(8)) > 800


@pytest.mark.slow
@pytest.mark.usefixtures("small_pieces")
def test_pieces_of_real_texts(test_data: Path, converted: Callable[[str, str], Path]) -> None:
    from belle_edge._core import GgufFile

    texts = [
        (test_data / "text" / name).read_text(encoding="utf-8")[1000:21_000]
        for name in ("hongloumeng_part1.txt", "wikitext2_test.txt")
    ]
    texts += random_texts(9)
    for path in (
        converted("belle-tiny-zh", "q4_0"),
        test_data / "tokenizers/llama/ggml-vocab-llama-spm.gguf",
    ):
        assert check(Tokenizer.from_metadata(GgufFile(str(path))), iter(texts)) > 1000


def test_unknown_characters_in_a_row_stay_one_token(sentencepiece_tables: dict[str, Any]) -> None:
    """Without byte pieces SentencePiece joins them, so such a text has no place to cut and no fewest tokens."""
    types = [1 if kind == 6 else kind for kind in sentencepiece_tables["tokenizer.ggml.token_type"]]
    tokenizer = Tokenizer.from_metadata({**sentencepiece_tables, "tokenizer.ggml.token_type": types})
    text = "世界" * 40_000
    assert len(tokenizer.encode(text, add_bos=False, limit=5)) <= 5


def test_the_longest_token_sets_the_bound(byte_level_tables: dict[str, Any]) -> None:
    tokenizer = Tokenizer.from_metadata(byte_level_tables)
    text = " hello" * 1000  # the longest token but one: "<|tool|>" has eight bytes
    assert tokenizer.encode(text, add_bos=False, limit=1000) == tokenizer.encode(" hello") * 1000
    with pytest.raises(ValueError, match="more than 749 tokens"):
        tokenizer.encode(text, limit=749)
    assert len(tokenizer.encode("<|tool|>" * 1000, limit=1000)) == 1000


@pytest.fixture(params=["bloom", "llama"])
def watched(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Belle, list[int]]:
    """A model, and the lengths of the texts that its encoder gets."""
    model = Belle.load(write_tiny_model(tmp_path / "m.gguf", request.param))
    lengths: list[int] = []
    for name in ("_encode_plain", "_encode_inner"):
        encode = getattr(model.tokenizer, name)
        monkeypatch.setattr(
            model.tokenizer,
            name,
            lambda text, encode=encode: lengths.append(len(text)) or encode(text),
            raising=False,
        )
    return model, lengths


DOORS: dict[str, Callable[[Belle, str], object]] = {
    "generate": lambda model, text: model.generate(text),
    "raw": lambda model, text: model.generate(text, raw=True),
    "stream": lambda model, text: model.stream(text),
    "astream": lambda model, text: model.astream(text),
    "chat": lambda model, text: model.chat([{"role": "user", "content": text}]),
    "say": lambda model, text: model.conversation().say(text),
    "system": lambda model, text: model.conversation(system=text).say("q"),
    "batch": lambda model, text: model.generate_batch(["q", text]),
}


@pytest.mark.parametrize("door", DOORS)
def test_a_prompt_of_megabytes_is_refused_unread(watched: tuple[Belle, list[int]], door: str) -> None:
    model, lengths = watched
    for text in ("a" * (4 << 20), "Human: 你好, " * 300_000):
        with pytest.raises(ValueError, match="more than 128 tokens"):
            DOORS[door](model, text)
    assert max(lengths, default=0) < 100


def test_a_later_turn_of_megabytes_is_refused_unread(watched: tuple[Belle, list[int]]) -> None:
    model, lengths = watched
    conversation = model.conversation(max_tokens=2)
    conversation.say("q")
    with pytest.raises(ValueError, match="more than 1"):
        conversation.say("a" * (4 << 20))
    assert max(lengths) < 100
    assert conversation.say("q").text is not None


def test_a_long_text_is_encoded_in_pieces(watched: tuple[Belle, list[int]]) -> None:
    model, lengths = watched
    text = "Human: 你好, world.\n" * 5_000
    ids = model.tokenize(text)
    assert max(lengths) < long_text.PIECE_CHARS + 100
    assert model.detokenize(ids) == text

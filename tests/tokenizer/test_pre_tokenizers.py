"""Every pre-tokenizer that llama.cpp names: the ids of its own tokenizer, except where it rewrites a pattern."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import gguf
import pytest

from belle_edge.errors import UnsupportedModelError
from belle_edge.text.pre_tokenizers import PRE_TOKENIZERS, PreTokenizer
from belle_edge.text.tokenizer import Tokenizer

from .hard_texts import PARTS, hard_texts, telling_vocabulary

FIRST_NAMES = {splits: name for name, splits in reversed(PRE_TOKENIZERS.items())}


def has_cased_letters(text: str) -> bool:
    return any(char > "\x7f" and unicodedata.category(char) in ("Lu", "Ll", "Lt") for char in text)


def has_marks(text: str) -> bool:
    return any(unicodedata.category(char).startswith("M") for char in text)


def has_capitals_inside(text: str) -> bool:
    return has_cased_letters(text) or re.search("[A-Za-z][A-Z]", text) is not None


def has_wide_spaces(text: str) -> bool:
    return any(char > "\x7f" and char.isspace() for char in text)


def has_other_numbers(text: str) -> bool:
    """Such as ½, and such digits as ๑."""
    return any(char > "\x7f" and unicodedata.category(char).startswith("N") for char in text)


def has_numbers_inside(text: str) -> bool:
    numbers = [unicodedata.category(char).startswith("N") for char in text]
    return any(is_number and not before for before, is_number in pairwise(numbers))


# Where llama.cpp splits otherwise than the published pattern, by the first name of a pre-tokenizer. Its engine knows
# no \p{Lu}, \p{Ll} and \p{M} and sees white space beyond ASCII as \v; its code for thousands joins what stands before.
DIFFERENT: dict[str, Callable[[str], bool]] = {
    "tekken": lambda text: has_cased_letters(text) or has_marks(text),
    "gpt-4o": lambda text: has_cased_letters(text) or has_marks(text),
    "granite-embed-multi-97m": has_cased_letters,
    "tiny_aya": lambda text: (
        has_capitals_inside(text)
        or has_numbers_inside(text)
        or has_other_numbers(text)
        or re.search(r"\d[^\W\d]", text) is not None
    ),
    "youtu": has_capitals_inside,
    "kimi-k2": lambda text: has_capitals_inside(text) or has_marks(text),
    "deepseek-llm": has_wide_spaces,
    "deepseek-coder": has_wide_spaces,
    "superbpe": has_other_numbers,
}


def write_vocabulary(path: Path, pre: str, n_tokens: int) -> Path:
    """A file of a vocabulary alone."""
    tables = telling_vocabulary(n_tokens)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tables["tokenizer.ggml.tokens"])
    writer.add_token_types(tables["tokenizer.ggml.token_type"])
    writer.add_token_merges(tables["tokenizer.ggml.merges"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


def llama_tokenizer(path: Path, pre: str, *, n_tokens: int = 5000) -> Any:
    pytest.importorskip(
        "llama_cpp", reason="llama-cpp-python is not installed: pip install 'belle-edge[llama]'"
    )
    from belle_edge.backends.llama_library import import_library
    from belle_edge.backends.llama_tokenizer import LlamaTokenizer

    return LlamaTokenizer(
        import_library(), write_vocabulary(path, pre, n_tokens), {"tokenizer.ggml.model": "gpt2"}
    )


def our_tokenizer(pre: str, **more: Any) -> Tokenizer:
    return Tokenizer.from_metadata({**telling_vocabulary(), "tokenizer.ggml.pre": pre, **more})


@pytest.mark.slow
@pytest.mark.parametrize("pre", FIRST_NAMES.values())
def test_ids_are_those_of_llama_cpp(pre: str, tmp_path: Path) -> None:
    theirs, ours = llama_tokenizer(tmp_path / "vocabulary.gguf", pre), our_tokenizer(pre)
    rewritten = DIFFERENT.get(pre, lambda text: False)
    texts = [text for text in hard_texts() if not rewritten(text)]
    assert len(texts) > 200
    for text in texts:
        assert ours.encode(text, add_bos=False) == theirs.encode(text, add_bos=False), repr(text)
    others = [text for text in hard_texts() if rewritten(text)]
    differ = [
        text for text in others if ours.encode(text, add_bos=False) != theirs.encode(text, add_bos=False)
    ]
    assert bool(differ) == (pre in DIFFERENT), "llama.cpp does not differ any more: shorten the list"


@pytest.mark.slow
def test_other_names_are_the_same_pre_tokenizers_in_llama_cpp(tmp_path: Path) -> None:
    texts = hard_texts()[: len(PARTS)]
    expected: dict[PreTokenizer, list[list[int]]] = {}
    for pre, splits in PRE_TOKENIZERS.items():  # the first name comes first
        theirs = llama_tokenizer(tmp_path / f"{pre}.gguf", pre, n_tokens=700)
        found = [theirs.encode(text, add_bos=False) for text in texts]
        assert found == expected.setdefault(splits, found), pre
        assert theirs.vocabulary.add_bos == our_tokenizer(pre).vocabulary.add_bos, pre


@pytest.mark.parametrize("pre", FIRST_NAMES.values())
def test_no_text_is_lost(pre: str) -> None:
    tokenizer = our_tokenizer(pre)
    text = "".join(hard_texts()[:200])
    assert tokenizer.decode(tokenizer.encode(text, add_bos=False)) == text


@pytest.mark.parametrize(
    ("pre", "text", "expected"),
    [
        ("tekken", "helloWorld e\u0301a", ["hello", "World", " e\u0301a"]),
        ("gpt-4o", "ÉCOLE'S école 1234", ["ÉCOLE'S", " école", " ", "123", "4"]),
        ("kimi-k2", "中文helloWorld", ["中文", "hello", "World"]),
        ("deepseek-llm", "a\u3000b 12", ["a", "\u3000", "b", " ", "12"]),
        ("tiny_aya", "x 1234 1234x", ["x", " ", "1", "234", " ", "123", "4", "x"]),
        ("superbpe", "a b 12½1234", ["a b ", "12½1", "234"]),
    ],
)
def test_where_published_patterns_and_llama_cpp_differ(pre: str, text: str, expected: list[str]) -> None:
    assert split(pre, text) == expected


def split(pre: str, text: str) -> list[str]:
    """The parts of a text: those that no token can cross."""
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import Sequence, Split

    steps = [Split(Regex(step), "isolated") for step in PRE_TOKENIZERS[pre].steps]
    return [part for part, _ in Sequence(steps).pre_tokenize_str(text)]


PUBLISHED = {  # of thousands, with lookahead from each digit
    "superbpe": (r"\p{N}+", r"(?=(\d{3})+(?!\d))"),
    "tiny_aya": (r"\d{1,3}(?=(?:\d{3})*\b)",),
}


@pytest.mark.parametrize("pre", PUBLISHED)
def test_thousands_are_split_as_by_the_published_patterns(pre: str) -> None:
    import random

    from tokenizers import Regex
    from tokenizers.pre_tokenizers import Sequence, Split

    def of(steps: tuple[str, ...]) -> Any:
        return Sequence([Split(Regex(step), "isolated") for step in steps])

    published = PUBLISHED[pre]
    ours = of(PRE_TOKENIZERS[pre].steps[: len(published)])
    chance = random.Random(1)
    parts = ["1", "23", "456"] * 4 + ["½", "Ⅷ", " ", "a", ".", "_", "٣", "中"]
    for _ in range(3000):
        text = "".join(chance.choices(parts, k=chance.randrange(1, 12)))
        assert ours.pre_tokenize_str(text) == of(published).pre_tokenize_str(text)


@pytest.mark.parametrize(
    "name", ["afmoe", "gemma4", "sarvam-moe", "whitespace", "granite-embed-multi-311m", "Smollm", "x\x1b[0m"]
)
def test_what_is_no_byte_level_pre_tokenizer_is_refused_by_name(name: str) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        our_tokenizer(name)
    assert repr(name) in str(caught.value)
    assert "tokenizer.huggingface.json" in str(caught.value)
    assert "llama.cpp backend" in str(caught.value)


def published(*steps: dict[str, Any], **more: Any) -> str:
    """A tokenizer.json, as far as it is read, with a token that looks like one of its keys."""
    vocabulary = {'"pre_tokenizer": {': 7, "pre_tokenizer": 8}
    content = {
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": steps},
        "model": {"vocab": vocabulary, **more},
    }
    return json.dumps({"added_tokens": [{"content": '"pre_tokenizer": {"type"'}], **content})


TO_BYTES = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}
WORDS_AND_BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
EACH_DIGIT = {"type": "Digits", "individual_digits": True}
HAN_AND_KANA = {"Regex": "[一-龥\u3040-\u309f\u30a0-\u30ff]+"}  # DeepSeek's, with characters for codes


@pytest.mark.parametrize(
    ("content", "same_as"),
    [
        (published(EACH_DIGIT, WORDS_AND_BYTES), "smollm"),
        (published(WORDS_AND_BYTES), "gpt-2"),
        (published({"type": "Digits"}, WORDS_AND_BYTES, ignore_merges=False), None),
        (published({"type": "Split", "pattern": HAN_AND_KANA, "behavior": "Isolated"}, TO_BYTES), None),
    ],
)
def test_the_tokenizers_own_json_wins_over_the_name(content: str, same_as: str | None) -> None:
    named, found = our_tokenizer("tekken"), our_tokenizer("tekken", **{"tokenizer.huggingface.json": content})
    assert found.vocabulary.splits != named.vocabulary.splits
    assert found.vocabulary.add_bos, "the name says this, and the JSON nothing"
    unnamed = our_tokenizer("unheard-of", **{"tokenizer.huggingface.json": content})
    text = "".join(hard_texts()[:300])
    assert unnamed.encode(text) == found.encode(text, add_bos=False)
    if same_as is not None:
        assert unnamed.encode(text) == our_tokenizer(same_as).encode(text)
        assert unnamed.vocabulary.splits == PRE_TOKENIZERS[same_as]


def test_the_json_says_whether_whole_words_come_first() -> None:
    content = published(EACH_DIGIT, WORDS_AND_BYTES, ignore_merges=True)
    splits = our_tokenizer("smollm", **{"tokenizer.huggingface.json": content}).vocabulary.splits
    assert splits is not None
    assert splits.whole_words_first


@pytest.mark.parametrize(
    "content",
    [
        "",
        "no JSON",
        '{"pre_tokenizer": null}',
        '{"pre_tokenizer": {"type": "ByteLevel"',  # cut off
        '{"pre_tokenizer": {"type": ByteLevel}}',
        '{"pre_tokenizer": ' + '{"a":' * 3000 + "1" + "}" * 3000 + "}",
        published({"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated"}, TO_BYTES),
        published({"type": "Split", "pattern": HAN_AND_KANA, "behavior": "Removed"}, TO_BYTES),
        published(
            {"type": "Split", "pattern": HAN_AND_KANA, "behavior": "Isolated", "invert": True}, TO_BYTES
        ),
        published({"type": "Split", "pattern": "x", "behavior": "Isolated"}, TO_BYTES),
        published({"type": "Metaspace"}, TO_BYTES),
        published({**TO_BYTES, "add_prefix_space": True}),
        published(WORDS_AND_BYTES, {"type": "Digits"}),
        published(),
        published("x"),  # type: ignore[arg-type]
    ],
)
def test_a_json_of_unknown_steps_leaves_the_name(content: str) -> None:
    found = our_tokenizer("smollm", **{"tokenizer.huggingface.json": content})
    assert found.vocabulary.splits == PRE_TOKENIZERS["smollm"]
    with pytest.raises(UnsupportedModelError, match="unheard-of"):
        our_tokenizer("unheard-of", **{"tokenizer.huggingface.json": content})

"""What a GGUF's metadata says about prompts, and prompts as token ids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from belle_edge._core import GgufFile
from belle_edge.errors import ModelFormatError
from belle_edge.text.chat_format import ChatFormat, encode_continuation
from belle_edge.text.prompts import FAMILIES
from belle_edge.text.tokenizer import Tokenizer

TEMPLATE_WITH_BOS = "{{ bos_token }}[INST]{{ messages[0]['content'] }}[/INST]{{ eos_token }}"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{value:02X}>" for value in range(256)), "▁"]
    return Tokenizer.from_metadata(
        {
            "tokenizer.ggml.model": "llama",
            "tokenizer.ggml.tokens": tokens,
            "tokenizer.ggml.token_type": [2, 3, 3] + [6] * 256 + [1],
            "tokenizer.ggml.scores": [0.0] * len(tokens),
        }
    )


def _message(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def test_the_files_own_keys_come_first() -> None:
    metadata: dict[str, Any] = {
        "tokenizer.chat_template": "{{ messages }}",
        "belle.family": "belle",
        "belle.stop_strings": ["END"],
        "belle.sampling.temperature": 0.3499999940395355,
        "belle.sampling.top_k": 20,
    }
    chat = ChatFormat.from_metadata(metadata)
    assert chat.template == "{{ messages }}"
    assert chat.stop_strings == ("END",)
    assert chat.preset == {"temperature": 0.35, "top_k": 20}


def test_a_named_family_fills_what_is_missing() -> None:
    chat = ChatFormat.from_metadata({"belle.family": "belle-ext"})
    family = FAMILIES["belle-ext"]
    assert (chat.template, chat.stop_strings) == (family.chat_template, family.stop_strings)
    assert chat.preset == family.preset


def test_an_unknown_file_has_no_format(tokenizer: Tokenizer) -> None:
    chat = ChatFormat.from_metadata({})
    assert chat == ChatFormat()
    with pytest.raises(ValueError, match="no chat template"):
        chat.encode(tokenizer, _message("x"))


@pytest.mark.parametrize(
    "metadata",
    [{"belle.sampling.top_p": 7.0}, {"belle.sampling.top_k": "many"}, {"belle.stop_strings": "text"}],
)
def test_broken_metadata_is_a_format_error(metadata: dict[str, Any]) -> None:
    with pytest.raises(ModelFormatError, match=r"belle\.\* metadata"):
        ChatFormat.from_metadata(metadata)


def test_control_tokens_come_from_the_template_only(tokenizer: Tokenizer) -> None:
    chat = ChatFormat(template=FAMILIES["belle-v2"].chat_template)
    messages = [*_message("a</s>b"), {"role": "assistant", "content": "<s>"}, *_message("c")]
    ids = chat.encode(tokenizer, messages)
    assert ids.count(2) == 1  # the one that the template puts behind the answer
    assert ids.count(1) == 1  # BOS, as this tokenizer's settings say
    assert "a</s>b" in tokenizer.decode(ids)


def test_bos_is_not_doubled(tokenizer: Tokenizer) -> None:
    ids = ChatFormat(template=TEMPLATE_WITH_BOS).encode(tokenizer, _message("x"))
    assert ids[0] == 1
    assert ids.count(1) == 1
    assert ids[-1] == 2


def test_a_text_may_hold_the_guard_itself(tokenizer: Tokenizer) -> None:
    text = "\ufdd0</s>\ufdd1"
    ids = ChatFormat(template="{{ messages[0]['content'] }}").encode(tokenizer, _message(text))
    assert tokenizer.decode(ids) == text
    assert 2 not in ids


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_the_next_turn_is_what_the_template_puts_behind_an_answer(tokenizer: Tokenizer, family: str) -> None:
    chat = ChatFormat(template=FAMILIES[family].chat_template)
    first = chat.encode(tokenizer, _message("a"))
    answer = encode_continuation(tokenizer, "b")
    following = chat.encode_next(tokenizer, "c</s>\ufdd1")
    messages = [*_message("a"), {"role": "assistant", "content": "b"}, *_message("c</s>\ufdd1")]
    assert [*first, *answer, *following] == chat.encode(tokenizer, messages)
    assert following.count(2) == (family == "belle-v2")  # typed by a user it is text


def test_a_continuation_has_no_space_before_it(tokenizer: Tokenizer) -> None:
    space = tokenizer.encode("", add_bos=False) or [tokenizer.vocabulary.tokens.index("▁")]
    for text in ("a", "\nHuman:", " a", "\x01", "你"):
        ids = encode_continuation(tokenizer, text)
        assert b"".join(map(tokenizer.token_bytes, ids)).decode() == text
        assert tokenizer.encode(text, add_bos=False) == [*space, *ids]
    assert encode_continuation(tokenizer, "") == []


def test_a_template_that_rewrites_answers_has_no_next_turn(tokenizer: Tokenizer) -> None:
    for template in (
        "{% for m in messages %}{{ m['content'] | upper }}{% endfor %}{{ messages | length }}",
        "{{ messages[-1]['content'] }}",
    ):
        with pytest.raises(ValueError, match="rewrites earlier answers"):
            ChatFormat(template=template).encode_next(tokenizer, "x")


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_turns_join_to_the_templates_text_in_llamas_vocabulary(test_data: Path, family: str) -> None:
    file = GgufFile(str(test_data / "tokenizers/llama/ggml-vocab-llama-spm.gguf"))
    llama, chat = Tokenizer.from_metadata(file), ChatFormat(template=FAMILIES[family].chat_template)
    for answer in ("你好，有什么可以帮您？", "Hello there.", "1. one\n2. two", " lead", "x "):
        messages = [*_message("hi"), {"role": "assistant", "content": answer}, *_message("再见 next")]
        parts = [
            *chat.encode(llama, messages[:1]),
            *encode_continuation(llama, answer),
            *chat.encode_next(llama, "再见 next"),
        ]
        whole = chat.encode(llama, messages)
        assert llama.decode(parts, skip_special=False) == llama.decode(whole, skip_special=False)
        if not answer[0].isascii():  # else the space before an English word may be part of its token
            assert parts == whole

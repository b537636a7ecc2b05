"""Ids and texts equal those of transformers' AutoTokenizer; padding, truncation and tensors behave alike."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from .conftest import Pair

ATOMS = [
    "a",
    "Once",
    " upon",
    "</s>",
    "<s>",
    "<unk>",
    "<pad>",
    "你好",
    "龘",
    "😀",
    "é",
    "，",
    ".",
    "'s",
    "1",
    "Ġ",
    "▁",
]
ATOMS += ["Human:", "Assistant:", " ", "  ", "\n", "\n\n", "\t", "\u200d"]


def texts(count: int) -> list[str]:
    rng = random.Random(1)
    return ["".join(rng.choices(ATOMS, k=rng.randrange(9))) for _ in range(count)]


def test_same_ids(pair: Pair) -> None:
    for text in texts(500):
        for special in (True, False):
            ours = pair.tokenizer(text, add_special_tokens=special)["input_ids"]
            assert ours == pair.hf_tokenizer(text, add_special_tokens=special)["input_ids"], repr(text)


def test_same_texts(pair: Pair) -> None:
    rng = random.Random(2)
    for _ in range(500):
        ids = [rng.randrange(rng.choice([260, len(pair.hf_tokenizer)])) for _ in range(rng.randrange(1, 9))]
        for skip in (False, True):
            ours = pair.tokenizer.decode(ids, skip_special_tokens=skip)
            assert ours == pair.hf_tokenizer.decode(ids, skip_special_tokens=skip), ids


def test_same_vocabulary(pair: Pair) -> None:
    ours, theirs = pair.tokenizer, pair.hf_tokenizer
    assert (len(ours), ours.vocab_size) == (len(theirs), theirs.vocab_size)
    assert ours.get_vocab() == theirs.get_vocab()
    for name in ("bos", "eos", "unk", "pad"):
        assert getattr(ours, f"{name}_token_id") == getattr(theirs, f"{name}_token_id")
        assert getattr(ours, f"{name}_token") == getattr(theirs, f"{name}_token")
    assert sorted(ours.all_special_ids) == sorted(theirs.all_special_ids)
    ids = list(range(0, len(theirs), 7))
    assert ours.convert_ids_to_tokens(ids) == theirs.convert_ids_to_tokens(ids)
    assert ours.convert_tokens_to_ids(["</s>", "no such entry"]) == [2, 0]
    assert ours.tokenize("Once upon") == theirs.tokenize("Once upon")


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(
    "options",
    [
        {"padding": True},
        {"padding": "longest", "truncation": True, "max_length": 5},
        {"padding": "max_length", "max_length": 16},
        {"padding": True, "pad_to_multiple_of": 8},
        {"truncation": True, "max_length": 3},
        {"return_token_type_ids": True},
        {"return_attention_mask": False},
    ],
)
def test_same_batches(bloom: Pair, side: str, options: dict[str, Any]) -> None:
    batch = ["Human: 你好\n\nAssistant:", "你好", "北京是中国的首都。"]
    ours = bloom.tokenizer(batch, padding_side=side, **options)
    assert dict(ours) == dict(bloom.hf_tokenizer(batch, padding_side=side, **options))


def test_tensors(pair: Pair) -> None:
    torch = pytest.importorskip("torch")
    text = "Once upon a time"
    inputs = pair.tokenizer(text, return_tensors="pt")
    theirs = pair.hf_tokenizer(text, return_tensors="pt")
    assert set(inputs) == set(theirs)
    for name, value in theirs.items():
        assert torch.equal(inputs[name], value)
        assert inputs[name].dtype == value.dtype
    assert inputs.input_ids is inputs["input_ids"]
    assert inputs.to("cpu") is inputs
    arrays = pair.tokenizer(text, return_tensors="np")
    assert isinstance(arrays["input_ids"], np.ndarray)
    assert arrays["input_ids"].tolist() == theirs["input_ids"].tolist()
    assert torch.equal(pair.tokenizer.encode(text, return_tensors="pt"), theirs["input_ids"])


def test_decode_takes_any_form(pair: Pair) -> None:
    torch = pytest.importorskip("torch")
    ids = pair.hf_tokenizer("Once upon a time")["input_ids"]
    text = pair.hf_tokenizer.decode(ids)
    for form in (ids, tuple(ids), np.array(ids), torch.tensor(ids), [np.int64(token_id) for token_id in ids]):
        assert pair.tokenizer.decode(form) == text
    assert pair.tokenizer.decode([ids, ids]) == [text, text]
    assert pair.tokenizer.batch_decode(torch.tensor([ids, ids])) == [text, text]
    assert pair.tokenizer.decode(ids[0]) == pair.hf_tokenizer.decode(ids[0])
    assert pair.tokenizer.decode([]) == ""


def test_padding_token_can_be_set(llama: Pair) -> None:
    from belle_edge.hf import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(llama.gguf)
    with pytest.raises(ValueError, match=r"pad_token = tokenizer\.eos_token"):
        tokenizer(["Once", "Once upon"], padding=True)
    tokenizer.pad_token = tokenizer.eos_token
    assert tokenizer.pad_token_id == 2
    short, long = (len(tokenizer(text)["input_ids"]) for text in ("Once", "Once upon"))
    padded = tokenizer(["Once", "Once upon"], padding=True)["attention_mask"]
    assert padded == [[0] * (long - short) + [1] * short, [1] * long]
    with pytest.raises(ValueError, match="not in the vocabulary"):
        tokenizer.pad_token = "[nothing]"


def test_chat_template(bloom: Pair) -> None:
    messages = [{"role": "user", "content": "你好"}]
    prompt = bloom.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert prompt == "Human: 你好\n\nAssistant:"
    encoding = bloom.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt")
    assert encoding["input_ids"].tolist() == [bloom.hf_tokenizer(prompt)["input_ids"]]
    ids = bloom.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert ids == bloom.hf_tokenizer(prompt)["input_ids"]


def test_chat_template_with_tools_and_names_of_its_own(bloom: Pair) -> None:
    """As transformers' tokenizer renders it, special tokens and further arguments included."""
    template = (
        "{{ bos_token }}{% for m in messages %}{{ m.role ~ m.get('name', '') }}: {{ m.content }}{{ eos_token }}"
        "{% endfor %}"
        "{{ tools | tojson }}{{ documents is none }}{{ extra }}{{ unk_token }}{{ pad_token }}{{ cls_token is defined }}"
    )
    messages = [{"role": "user", "content": "你好", "name": "<b>"}]
    given: dict[str, Any] = {
        "tools": [{"type": "function", "function": {"name": "天气"}}],
        "chat_template": template,
    }
    ours = bloom.tokenizer.apply_chat_template(messages, tokenize=False, extra="x", **given)
    assert ours == bloom.hf_tokenizer.apply_chat_template(messages, tokenize=False, extra="x", **given)
    assert '"name": "天气"' in ours


def test_chat_template_missing(llama: Pair) -> None:
    with pytest.raises(ValueError, match="no chat template"):
        llama.tokenizer.apply_chat_template([{"role": "user", "content": "hi"}])


def test_folder_without_conversion(bloom: Pair, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tokenizer of a checkpoint folder equals that of the converted file, and converts nothing."""
    from belle_edge.hf import AutoTokenizer

    monkeypatch.setenv("BELLE_CACHE", str(tmp_path / "cache"))
    tokenizer = AutoTokenizer.from_pretrained(
        bloom.folder, family="belle", use_fast=False, trust_remote_code=True
    )
    assert not (tmp_path / "cache").exists()
    assert tokenizer.get_vocab() == bloom.tokenizer.get_vocab()
    assert tokenizer.chat_template == bloom.tokenizer.chat_template
    for text in texts(100):
        assert tokenizer(text) == bloom.tokenizer(text)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"text": 5}, "iterable|string"),
        ({"text": [["pre", "split"]]}, "expected a string"),
        ({"text": "a", "return_tensors": "tf"}, "expected 'pt', 'np'"),
        ({"text": ["a", "a b c"], "return_tensors": "np"}, "padding=True"),
        ({"text": ["a", "b"], "padding": True, "padding_side": "up"}, "padding_side"),
    ],
)
def test_misuse(bloom: Pair, call: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        bloom.tokenizer(**call)


def test_ids_out_of_range(bloom: Pair) -> None:
    for ids in ([bloom.model.config.vocab_size], [-1]):
        with pytest.raises(ValueError, match="outside the vocabulary"):
            bloom.tokenizer.decode(ids)
        with pytest.raises(ValueError, match="outside the vocabulary"):
            bloom.tokenizer.convert_ids_to_tokens(ids)

"""Odd values for transformers' interface: a ValueError or TypeError that names the setting."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from belle_edge.hf import AutoModelForCausalLM, AutoTokenizer
from belle_edge.hf.causal_lm import HfModel
from belle_edge.hf.pretrained_tokenizer import HfTokenizer

from ..api.tiny_models import write_tiny_model

IDS = [[5, 6, 7]]
NO_COUNTS = [1.5, 100.7, math.nan, "3", b"3", True, [3], -1, -(10**30), object()]
COUNTS = [
    "max_new_tokens",
    "max_length",
    "min_length",
    "min_new_tokens",
    "no_repeat_ngram_size",
    "num_return_sequences",
    "top_k",
    "seed",
]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("odd") / "m.gguf", "llama")


@pytest.fixture(scope="module")
def model(path: Path) -> HfModel:
    return AutoModelForCausalLM.from_pretrained(path)


@pytest.fixture(scope="module")
def tokenizer(path: Path) -> HfTokenizer:
    return AutoTokenizer.from_pretrained(path)


@pytest.mark.parametrize("name", COUNTS)
def test_counts(model: HfModel, name: str) -> None:
    for value in NO_COUNTS:
        with pytest.raises((ValueError, TypeError), match=name):
            model.generate(IDS, **{"max_new_tokens": 2, "do_sample": True, name: value})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("temperature", value) for value in (10**400, 1e-40, "hot", math.nan, -1, 0)),
        *(("top_p", value) for value in (2, "x", math.nan, 0)),
        ("repetition_penalty", 0),
        ("num_return_sequences", 2**40),
        *(("eos_token_id", value) for value in (1.5, "2", b"2", [1.5], [True], True)),
        *(("suppress_tokens", value) for value in (b"ab", [1.5], 5)),
        *(("pad_token_id", value) for value in (1.5, "2", 2**40)),
        *(("stop_strings", value) for value in (5, "", [""], [5])),
    ],
)
def test_other_settings(model: HfModel, name: str, value: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=name):
        model.generate(IDS, **{"max_new_tokens": 2, "do_sample": True, name: value})


@pytest.mark.slow
@pytest.mark.parametrize(
    "ids",
    [
        b"ab",
        [b"ab"],
        "ab",
        1.5,
        [[1.5]],
        [["7"]],
        [[True]],
        [[1], 2],
        [[[1]]],
        np.array([[1.5]]),
        [[-1]],
        [[2**40]],
    ],
)
def test_ids(model: HfModel, ids: Any) -> None:
    for call in (model.generate, model.forward):
        with pytest.raises((ValueError, TypeError), match=r"ids|token id|whole numbers"):
            call(ids)


@pytest.mark.parametrize("name", ["threads", "context"])
@pytest.mark.parametrize("value", [1.5, 0, -1, "2", True, math.nan, 10**6])
def test_loading(path: Path, name: str, value: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=name):
        AutoModelForCausalLM.from_pretrained(path, **{name: value})


@pytest.mark.parametrize("name", ["max_length", "pad_to_multiple_of"])
@pytest.mark.parametrize("value", [1.5, 0, -1, "2", True, 2**60])
def test_lengths_of_the_tokenizer(tokenizer: HfTokenizer, name: str, value: Any) -> None:
    tokenizer.pad_token_id = 0
    with pytest.raises((ValueError, TypeError), match=name):
        tokenizer("你好", padding="max_length", **{name: value})


@pytest.mark.parametrize("value", [5, None, b"text", [b"text"], 1.5])
def test_texts(tokenizer: HfTokenizer, value: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="expected a string"):
        tokenizer(value)
    with pytest.raises((ValueError, TypeError), match="whole numbers"):
        tokenizer.decode(value if value != 5 else 5.0)


@pytest.mark.slow
def test_numpy_scalars_are_taken_as_numbers(model: HfModel) -> None:
    plain = model.generate(IDS, max_new_tokens=3, do_sample=True, top_k=5, temperature=0.5, seed=1)
    numpy = model.generate(
        np.array(IDS),
        max_new_tokens=np.int64(3),
        do_sample=True,
        top_k=np.int8(5),
        temperature=np.float32(0.5),
        seed=np.uint32(1),
    )
    assert np.asarray(plain).tolist() == np.asarray(numpy).tolist()


def test_a_processor_is_blamed_for_what_it_returns(model: HfModel) -> None:
    for value in (math.nan, math.inf):
        with pytest.raises(ValueError, match="logits_processor") as raised:
            model.generate(
                IDS, max_new_tokens=1, logits_processor=[lambda _ids, scores, v=value: scores * 0 + v]
            )
        assert "damaged" not in str(raised.value)

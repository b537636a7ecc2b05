"""llama.cpp opens what we write, and computes with it what transformers computes with the source."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from belle_edge.convert import convert
from belle_edge.convert.type_mixes import NAMES, mix_named

from .logits import transformers_logits

pytestmark = pytest.mark.usefixtures("llama_cpp")


def open_llama_cpp(path: Path, **options: Any) -> Any:
    llama_cpp = pytest.importorskip("llama_cpp")
    return llama_cpp.Llama(str(path), n_ctx=256, n_threads=2, verbose=False, **options)


def llama_cpp_logits(path: Path, ids: list[int]) -> NDArray[np.float32]:
    model = open_llama_cpp(path, logits_all=True)
    model.eval(ids)
    return np.array(model.scores[: len(ids)])


BLOOMS: list[dict[str, Any]] = [
    {},
    {"n_head": 6, "hidden_size": 192},
    {"tie_word_embeddings": False, "vocab_size": 333},
    {"bare": True},
]
LLAMAS: list[dict[str, Any]] = [
    {},
    {"attention_bias": True, "mlp_bias": True},
    {"tie_word_embeddings": True, "vocab_size": 413},
    {"num_attention_heads": 6, "num_key_value_heads": 2, "hidden_size": 96, "head_dim": 32},
    {"rope_parameters": {"rope_theta": 500.0, "rope_type": "default"}},
    {"rope_parameters": {"rope_theta": 10000.0, "rope_type": "linear", "factor": 4.0}},
]


@pytest.mark.parametrize("overrides", BLOOMS, ids=str)
def test_bloom_logits(make_bloom: Any, tmp_path: Path, overrides: dict[str, Any]) -> None:
    check_logits(make_bloom(**overrides), tmp_path)


@pytest.mark.parametrize("overrides", LLAMAS, ids=str)
def test_llama_logits(make_llama: Any, tmp_path: Path, overrides: dict[str, Any]) -> None:
    check_logits(make_llama(**overrides), tmp_path)


def check_logits(folder: Path, tmp_path: Path) -> None:
    """Within 5e-3 relative: llama.cpp keeps keys and values in f16."""
    ids = np.random.default_rng(3).integers(4, 300, size=40).tolist()
    convert(folder, tmp_path / "out.gguf", type="f32")
    expected = transformers_logits(folder, ids)
    found = llama_cpp_logits(tmp_path / "out.gguf", ids)
    assert found.shape == expected.shape
    error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    assert error < 5e-3


def test_stories_reproduce_their_golden_text(test_data: Path, tmp_path: Path) -> None:
    folder = test_data / "models" / "stories260K"
    convert(folder / "hf", tmp_path / "out.gguf", type="f32")
    golden = json.loads((folder / "greedy_ids_from_BOS.json").read_text())
    model = open_llama_cpp(tmp_path / "out.gguf", seed=0)
    ids = [1]
    for token in model.generate(ids, temp=0.0, repeat_penalty=1.0):
        ids.append(token)
        if len(ids) == min(len(golden), 200):
            break
    assert ids == golden[: len(ids)]


@pytest.mark.parametrize("name", ["bloom", "belle-tiny-zh", "belle-tiny-zh-outliers"])
def test_trained_bloom(checkpoint: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    folder = checkpoint(name)
    report = convert(folder, tmp_path / "out.gguf", type="f32", family="belle")
    assert report.family == "belle"
    text = "Human: 你好，请介绍一下北京。\n\nAssistant:"
    ids = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text).ids
    model = open_llama_cpp(tmp_path / "out.gguf", logits_all=True)
    assert model.tokenize(text.encode(), special=True) == ids
    model.eval(ids)
    expected = transformers_logits(folder, ids)
    error = np.linalg.norm(np.array(model.scores[: len(ids)]) - expected) / np.linalg.norm(expected)
    assert error < 5e-3


@pytest.mark.parametrize("file", ["tokenizer.model", "tokenizer.json"])
def test_real_llama_vocabulary(make_llama: Any, test_data: Path, tmp_path: Path, file: str) -> None:
    """llama.cpp's own 47 cases for LLaMA's vocabulary, from either form of it."""
    source = test_data / "tokenizers" / "llama"
    folder = make_llama(vocab_size=32_000, hidden_size=32, num_hidden_layers=1)
    (folder / "tokenizer.model").unlink()
    shutil.copyfile(source / file, folder / file)
    convert(folder, tmp_path / "out.gguf")
    model = open_llama_cpp(tmp_path / "out.gguf", vocab_only=True)
    cases = (source / "ggml-vocab-llama-spm.gguf.inp").read_text(encoding="utf-8")
    expected = (source / "ggml-vocab-llama-spm.gguf.out").read_text().splitlines()
    texts = cases.split("\n__ggml_vocab_test__\n")
    assert len(texts) - (not texts[-1]) == len(expected)
    for text, ids in zip(texts, expected, strict=False):
        found = model.tokenize(text.encode(), add_bos=False, special=False)
        assert found == [int(token) for token in ids.split()], text


FIXED_TYPES = ("f32", "f16", "bf16", "q4_0", "q4_1", "q8_0")
# Rows that super-blocks of 256 divide.
WIDE: dict[str, dict[str, Any]] = {
    "bloom": {"hidden_size": 256, "n_head": 4},
    "llama": {"hidden_size": 256, "intermediate_size": 512},
}


@pytest.mark.parametrize("architecture", ["bloom", "llama"])
@pytest.mark.parametrize("type", FIXED_TYPES)
def test_every_type_opens_there_and_means_the_same(
    make_bloom: Any, make_llama: Any, tmp_path: Path, architecture: str, type: str
) -> None:
    """llama.cpp's cache is f16, and it rounds the activations that meet bf16 weights to bf16 (8 bits), where ours stay
    float32 (tests/model compares those with transformers)."""
    convert((make_bloom if architecture == "bloom" else make_llama)(), tmp_path / "out.gguf", type=type)
    bound = {"f32": 5e-3, "f16": 5e-3, "bf16": 2e-2}.get(type, 6e-2)
    assert difference_there(tmp_path / "out.gguf", type) <= bound


@pytest.mark.parametrize("architecture", ["bloom", "llama"])
@pytest.mark.parametrize("type", [name for name in NAMES if name not in FIXED_TYPES])
def test_super_blocks_and_mixes_open_there_and_mean_the_same(
    make_bloom: Any, make_llama: Any, tmp_path: Path, architecture: str, type: str
) -> None:
    """The wide random LLaMA makes more of rounded activations: with q8_0 it is 5e-2 already, twice BLOOM's."""
    make = make_bloom if architecture == "bloom" else make_llama
    convert(make(**WIDE[architecture]), tmp_path / "out.gguf", type=type)
    bound = {"bloom": 6e-2, "llama": 1.2e-1}[architecture]
    assert difference_there(tmp_path / "out.gguf", mix_named(type).body) <= bound


def difference_there(path: Path, type: str) -> float:
    """Relative to our engine's logits of the same file. The rest is rounding: both round activations, each in its way.

    Also checks that a matrix of the file has the type.
    """
    from belle_edge import _core

    assert type in {tensor.type for tensor in _core.GgufFile(str(path)).tensors()}
    ids = list(range(4, 44))
    found = llama_cpp_logits(path, ids)
    model = _core.Model(str(path))
    expected = model.forward([(model.new_sequence(), ids)], logits="all")[0]
    return float(np.sqrt(((found - expected) ** 2).mean() / (expected**2).mean()))

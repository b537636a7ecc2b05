"""Tiny random checkpoints in Hugging Face's layout, as transformers writes them, with real tokenizers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from belle_edge.convert import ConversionReport, convert

from ..story_model import train_sentencepiece
from .adapters import changed, tensors_of

CORPUS = [
    "the quick brown fox jumps over the lazy dog, then the dog sleeps in the sun.",
    "你好，请问有什么可以帮助你的吗？今天天气很好，我们去公园走走吧。",
    "el perro duerme bajo el sol; la casa es grande y la puerta es roja",
    "Human: 请写一首诗。\n\nAssistant: 春眠不觉晓，处处闻啼鸟。",
] * 4

CheckpointMaker = Callable[..., Path]


def bloom_tokenizer_json(vocab_size: int = 320) -> str:
    """A byte-level BPE tokenizer.json with BLOOM's pre-tokenizer and special tokens."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    pattern = " ?[^(\\s|[.,!?…。，、।۔،])]+"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=["<unk>", "<s>", "</s>", "<pad>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return str(tokenizer.to_str())


def sentencepiece_model(vocab_size: int = 400) -> bytes:
    """A SentencePiece BPE model with byte fallback, as LLaMA's."""
    return train_sentencepiece(CORPUS, vocab_size, coverage=0.98)


@pytest.fixture(scope="session")
def bloom_tokenizer() -> str:
    return bloom_tokenizer_json()


@pytest.fixture(scope="session")
def llama_tokenizer() -> bytes:
    return sentencepiece_model()


@pytest.fixture
def make_bloom(tmp_path: Path, bloom_tokenizer: str) -> CheckpointMaker:
    """Writes a random BLOOM: make_bloom("name", bare=False, dtype="float32", n_layer=..., ...) -> folder."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")

    def make(name: str = "bloom", *, bare: bool = False, dtype: str = "float32", **overrides: Any) -> Path:
        settings = {
            "vocab_size": 320,
            "hidden_size": 96,
            "n_layer": 2,
            "n_head": 3,
            "tie_word_embeddings": True,
        }
        config = transformers.BloomConfig(**{**settings, **overrides})
        torch.manual_seed(1)
        model = (transformers.BloomModel if bare else transformers.BloomForCausalLM)(config)
        randomize(model)
        folder = tmp_path / name
        model.to(getattr(torch, dtype)).save_pretrained(folder)
        (folder / "tokenizer.json").write_text(bloom_tokenizer, encoding="utf-8")
        specials = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
        write_json(folder / "tokenizer_config.json", specials)
        return folder

    return make


@pytest.fixture
def make_llama(tmp_path: Path, llama_tokenizer: bytes) -> CheckpointMaker:
    """Writes a random LLaMA: make_llama("name", bare=False, dtype="float32", head_dim=..., ...) -> folder."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")

    def make(name: str = "llama", *, bare: bool = False, dtype: str = "float32", **overrides: Any) -> Path:
        settings = {
            "vocab_size": 400,
            "hidden_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "intermediate_size": 96,
            "max_position_embeddings": 256,
            "tie_word_embeddings": False,
        }
        config = transformers.LlamaConfig(**{**settings, **overrides})
        torch.manual_seed(2)
        model = (transformers.LlamaModel if bare else transformers.LlamaForCausalLM)(config)
        randomize(model)
        folder = tmp_path / name
        model.to(getattr(torch, dtype)).save_pretrained(folder)
        (folder / "tokenizer.model").write_bytes(llama_tokenizer)
        specials = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "add_bos_token": True}
        write_json(folder / "tokenizer_config.json", specials)
        return folder

    return make


def randomize(model: Any) -> None:
    """Random values everywhere: transformers' norms of one and biases of zero would hide mistakes."""
    import torch

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(mean=1.0 if "norm" in name and "weight" in name else 0.0, std=0.15)


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


@pytest.fixture
def edit_json() -> Callable[..., None]:
    """edit_json(path, key=value, ...) sets keys of a JSON file; a value of None removes the key."""

    def edit(path: Path, **changes: Any) -> None:
        values = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        for key, value in changes.items():
            if value is None:
                values.pop(key, None)
            else:
                values[key] = value
        write_json(path, values)

    return edit


@pytest.fixture
def packed_bloom(make_bloom: Any) -> tuple[Path, dict[str, Any]]:
    """(a BLOOM folder with plain weights, the same weights as GPTQ packs them)."""
    from .gptq_files import Recipe, pack_checkpoint, read_checkpoint

    source = make_bloom("bloomz")
    return source, pack_checkpoint(read_checkpoint(source), Recipe()).stored


@pytest.fixture
def check_merged(tmp_path: Path) -> Callable[..., ConversionReport]:
    """check(base, lora, changes, **config): the file is that of `base` with these tensors in their place."""

    def check(base: Path, lora: Any, changes: dict[str, Any], **config: Any) -> ConversionReport:
        expected = changed(base, tmp_path / "expected", changes, **config)
        convert(expected, tmp_path / "expected.gguf", type="f32", force=True)
        convert(base, tmp_path / "base.gguf", type="f32", force=True)
        report = convert(base, tmp_path / "merged.gguf", type="f32", lora=lora, force=True)
        wanted, found = tensors_of(tmp_path / "expected.gguf"), tensors_of(tmp_path / "merged.gguf")
        before = tensors_of(tmp_path / "base.gguf")
        assert list(found) == list(wanted)
        for name, values in wanted.items():
            np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-6, err_msg=name)
        differing = [
            name for name in found if name not in before or not np.array_equal(found[name], before[name])
        ]
        assert differing
        shutil.rmtree(tmp_path / "expected")
        return report

    return check


@pytest.fixture
def stories_copy(
    checkpoint: Callable[[str], Path], tmp_path: Path, edit_json: Callable[..., None]
) -> Callable[..., Path]:
    """stories_copy(key=value, ...) -> a LLaMA with grouped queries and a head of its own; keys of its configuration."""

    def make(**config: Any) -> Path:
        folder = tmp_path / "stories"
        shutil.copytree(checkpoint("llama"), folder)
        edit_json(folder / "config.json", **config)
        return folder

    return make

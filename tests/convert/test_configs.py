"""Configurations and tensor names in all the spellings that are around, and those that must be refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import pytest

from belle_edge.convert import convert
from belle_edge.errors import ConversionError

from ..gguf.checksummed import renew_checksums


def field(path: Path, key: str) -> Any:
    found = gguf.GGUFReader(path).get_field(key)
    return found.contents() if found is not None else None


def test_bloom_metadata(make_bloom: Any, tmp_path: Path) -> None:
    convert(make_bloom(seq_length=512), tmp_path / "out.gguf", type="f32")
    expected = {
        "general.architecture": "bloom",
        "bloom.context_length": 512,
        "bloom.embedding_length": 96,
        "bloom.feed_forward_length": 384,
        "bloom.block_count": 2,
        "bloom.attention.head_count": 3,
        "bloom.attention.head_count_kv": 3,
        "general.file_type": 0,
        "general.quantization_version": 2,
    }
    for key, value in expected.items():
        assert field(tmp_path / "out.gguf", key) == value, key
    assert field(tmp_path / "out.gguf", "bloom.attention.layer_norm_epsilon") == pytest.approx(1e-5)


def test_bloom_old_spellings_give_the_same_file(make_bloom: Any, tmp_path: Path, edit_json: Any) -> None:
    folder = make_bloom()
    edit_json(folder / "config.json", seq_length=None)
    convert(folder, tmp_path / "new.gguf")
    hash_key = "belle.source.sha256.config.json"
    edit_json(
        folder / "config.json",
        hidden_size=None,
        n_embed=96,
        n_head=None,
        num_attention_heads=3,
        n_layer=None,
        num_hidden_layers=2,
    )
    convert(folder, tmp_path / "old.gguf")
    new_hash, old_hash = (field(tmp_path / f"{name}.gguf", hash_key).encode() for name in ("new", "old"))
    old, new = (tmp_path / f"{name}.gguf" for name in ("old", "new"))
    old.write_bytes(old.read_bytes().replace(old_hash, new_hash))
    assert renew_checksums(old).read_bytes() == new.read_bytes()
    assert field(tmp_path / "old.gguf", "bloom.context_length") == 2048


def test_bare_bloom_names(make_bloom: Any, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = make_bloom(bare=True)
    assert "word_embeddings.weight" in load_file(folder / "model.safetensors")
    assert json.loads((folder / "config.json").read_text())["architectures"] == ["BloomModel"]
    convert(folder, tmp_path / "bare.gguf")
    tensors = load_file(folder / "model.safetensors")
    prefixed = {f"transformer.{name}": values for name, values in tensors.items()}
    prefixed["lm_head.weight"] = tensors["word_embeddings.weight"]  # many tied checkpoints store it twice
    save_file(prefixed, folder / "model.safetensors")
    convert(folder, tmp_path / "prefixed.gguf")
    assert (tmp_path / "bare.gguf").read_bytes() == (tmp_path / "prefixed.gguf").read_bytes()


def test_bare_llama_names(make_llama: Any, tmp_path: Path) -> None:
    report = convert(make_llama(bare=True, tie_word_embeddings=True), tmp_path / "out.gguf")
    assert "output.weight" not in {tensor.name for tensor in report.tensors}


def test_untied_bloom_keeps_its_head(make_bloom: Any, tmp_path: Path) -> None:
    report = convert(make_bloom(tie_word_embeddings=False), tmp_path / "out.gguf")
    assert report.tensors[-1].name == "output.weight"


def test_tied_head_that_differs_is_reported(make_llama: Any, tmp_path: Path, edit_json: Any) -> None:
    folder = make_llama()
    edit_json(folder / "config.json", tie_word_embeddings=True)
    report = convert(folder, tmp_path / "out.gguf")
    assert "output.weight" in {tensor.name for tensor in report.tensors}  # as transformers 5 keeps it
    assert any("lm_head.weight differs" in warning for warning in report.warnings)


def test_llama_metadata(make_llama: Any, tmp_path: Path) -> None:
    convert(make_llama(head_dim=24, rms_norm_eps=2e-6), tmp_path / "out.gguf", type="q8_0")
    expected = {
        "general.architecture": "llama",
        "llama.vocab_size": 400,
        "llama.context_length": 256,
        "llama.embedding_length": 64,
        "llama.block_count": 2,
        "llama.feed_forward_length": 96,
        "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 2,
        "llama.attention.key_length": 24,
        "llama.attention.value_length": 24,
        "llama.rope.dimension_count": 24,
        "llama.rope.freq_base": 10000.0,
        "llama.rope.scaling.type": None,
        "general.file_type": 7,
    }
    for key, value in expected.items():
        assert field(tmp_path / "out.gguf", key) == value, key
    assert field(tmp_path / "out.gguf", "llama.attention.layer_norm_rms_epsilon") == pytest.approx(2e-6)


@pytest.mark.parametrize(
    ("changes", "base", "factor"),
    [
        ({"rope_parameters": None, "rope_theta": 50000.0}, 50000.0, None),
        ({"rope_parameters": None}, 10000.0, None),
        ({"rope_parameters": {"rope_theta": 30000.0, "rope_type": "default"}}, 30000.0, None),
        ({"rope_parameters": {"rope_theta": 30000.0, "rope_type": "linear", "factor": 4.0}}, 30000.0, 4.0),
        ({"rope_parameters": None, "rope_scaling": {"type": "linear", "factor": 2.0}}, 10000.0, 2.0),
        ({"rope_parameters": None, "rope_scaling": {"rope_type": "linear", "factor": 2}}, 10000.0, 2.0),
    ],
)
def test_rope_settings(
    make_llama: Any, tmp_path: Path, edit_json: Any, changes: Any, base: float, factor: float | None
) -> None:
    folder = make_llama()
    edit_json(folder / "config.json", **changes)
    convert(folder, tmp_path / "out.gguf")
    assert field(tmp_path / "out.gguf", "llama.rope.freq_base") == base
    assert field(tmp_path / "out.gguf", "llama.rope.scaling.factor") == factor
    assert field(tmp_path / "out.gguf", "llama.rope.scaling.type") == ("linear" if factor else None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rope_parameters": {"rope_type": "yarn", "factor": 4.0}}, "yarn.*llama.cpp"),
        ({"rope_scaling": {"type": "dynamic", "factor": 4.0}, "rope_parameters": None}, "dynamic.*llama.cpp"),
        ({"rope_parameters": {"rope_type": "linear"}}, "factor"),
        ({"hidden_act": "gelu"}, "hidden_act"),
        ({"num_key_value_heads": 3}, "3 key-value heads"),
        ({"hidden_size": None}, "hidden_size"),
        ({"num_hidden_layers": "two"}, "num_hidden_layers"),
        ({"num_hidden_layers": 1}, r"does not have: model\.layers\.1"),
        ({"num_hidden_layers": 3}, r"layers\.2\.\S+ is missing"),
        ({"intermediate_size": 97}, r"expected shape \[97, 64\], found \[96, 64\]"),
        ({"architectures": ["MistralForCausalLM"], "model_type": "mistral"}, "MistralForCausalLM"),
        ({"architectures": ["LlamaForSequenceClassification"]}, "LlamaForSequenceClassification"),
        ({"architectures": None, "model_type": None}, "architecture"),
    ],
)
def test_llama_configs_that_are_refused(
    make_llama: Any, tmp_path: Path, edit_json: Any, changes: Any, message: str
) -> None:
    folder = make_llama()
    edit_json(folder / "config.json", **changes)
    with pytest.raises(ConversionError, match=message):
        convert(folder, tmp_path / "out.gguf")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"apply_residual_connection_post_layernorm": True}, "apply_residual_connection_post_layernorm"),
        ({"n_head": 5}, "not a multiple of 5"),
        ({"hidden_size": None}, "hidden_size or n_embed"),
    ],
)
def test_bloom_configs_that_are_refused(
    make_bloom: Any, tmp_path: Path, edit_json: Any, changes: Any, message: str
) -> None:
    folder = make_bloom()
    edit_json(folder / "config.json", **changes)
    with pytest.raises(ConversionError, match=message):
        convert(folder, tmp_path / "out.gguf")


def test_untied_without_head_is_refused(make_llama: Any, tmp_path: Path, edit_json: Any) -> None:
    folder = make_llama(tie_word_embeddings=True)
    edit_json(folder / "config.json", tie_word_embeddings=False)
    with pytest.raises(ConversionError, match="lm_head"):
        convert(folder, tmp_path / "out.gguf")

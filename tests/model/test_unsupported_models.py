"""Files that the engine must not run: what it lacks is named, and what is damaged is called damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

from belle_edge import _core
from belle_edge.errors import ModelFormatError, UnsupportedModelError

from .gguf_models import GgufModel, random_bloom, random_llama

Change = Callable[[GgufModel], None]


def sets(key: str, value: object) -> Change:
    return lambda model: model.metadata.update({key: value})


def lacks_key(key: str) -> Change:
    return lambda model: model.metadata.pop(key) and None


def lacks_tensor(name: str) -> Change:
    return lambda model: model.tensors.__delitem__(name)


def has_tensor(name: str, *shape: int) -> Change:
    return lambda model: model.tensors.update({name: np.ones(shape, np.float32)})


def is_architecture(name: str) -> Change:
    return lambda model: setattr(model, "architecture", name)


def has_quantized_norm(model: GgufModel) -> None:
    replace(model, "blk.0.attn_norm.weight", gguf.GGMLQuantizationType.Q8_0, 2 * 34)


def replace(model: GgufModel, name: str, kind: gguf.GGMLQuantizationType, n_bytes: int) -> None:
    shape = model.tensors.pop(name).shape
    rows = np.zeros((*shape[:-1], n_bytes // int(np.prod(shape[:-1]))), np.uint8)
    model.raw[name] = (kind, rows)


UNSUPPORTED: dict[str, tuple[Change, str]] = {
    "experts": (sets("expert_count", 8), "expert"),
    "yarn": (sets("rope.scaling.type", "yarn"), "yarn"),
    "longrope": (sets("rope.scaling.type", "longrope"), "longrope"),
    "rope_freqs": (has_tensor("rope_freqs.weight", 8), "rope_freqs.weight"),
    "qk_norm": (has_tensor("blk.0.attn_q_norm.weight", 16), "blk.0.attn_q_norm.weight"),
    "unknown_tensor": (has_tensor("blk.0.mystery.weight", 3, 3), "blk.0.mystery.weight"),
    "value_length": (sets("attention.value_length", 8), "attention.value_length"),
    "qwen2": (is_architecture("qwen2"), "qwen2"),
    "gpt2": (is_architecture("gpt2"), "gpt2"),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_the_engine_lacks_is_named(tmp_path: Path, name: str) -> None:
    change, mentioned = UNSUPPORTED[name]
    model = random_llama()
    change(model)
    path = model.write(tmp_path / f"{name}.gguf")
    with pytest.raises(UnsupportedModelError) as caught:
        _core.Model(str(path))
    message = str(caught.value)
    assert mentioned in message
    assert path.name in message
    assert "llama.cpp" in message


# Without llama.cpp's form of activations, which no file holds and for which the package has another size.
OTHER_KINDS = [
    kind
    for kind in gguf.GGMLQuantizationType
    if kind.name.lower() not in _core.weight_types() and kind is not gguf.GGMLQuantizationType.Q8_1
]


@pytest.mark.parametrize("kind", OTHER_KINDS, ids=lambda kind: kind.name)
def test_every_other_tensor_type_is_refused_by_name(tmp_path: Path, kind: gguf.GGMLQuantizationType) -> None:
    model = random_llama(feed_forward=256)  # a row is a multiple of the largest block
    block_size, block_bytes = gguf.GGML_QUANT_SIZES[kind]
    replace(model, "blk.0.ffn_down.weight", kind, 64 * 256 // block_size * block_bytes)
    path = model.write(tmp_path / "other.gguf")
    with pytest.raises(UnsupportedModelError) as caught:
        _core.Model(str(path))
    message = str(caught.value)
    assert f"{path.name}: tensor 'blk.0.ffn_down.weight' has type {kind.name.lower()}, " in message
    assert "the native engine reads f32, f16, " in message
    assert 'Belle.load(path, backend="llama.cpp")' in message
    listed = {tensor.name: tensor for tensor in _core.GgufFile(str(path)).tensors()}["blk.0.ffn_down.weight"]
    assert (listed.type, listed.shape) == (kind.name.lower(), (64, 256))
    assert listed.n_bytes == 64 * 256 // block_size * block_bytes


@pytest.mark.parametrize("name", ["llama4", "bloomz", "LLaMA"])
def test_no_other_name_is_taken_for_a_known_architecture(tmp_path: Path, name: str) -> None:
    model = random_llama()
    model.architecture = name
    path = model.write(tmp_path / "other.gguf")
    listed = rf"architecture '{name}' is not supported by the native engine \(it runs bloom and llama\)"
    with pytest.raises(UnsupportedModelError, match=listed):
        _core.Model(str(path))
    with pytest.raises(UnsupportedModelError, match=listed):
        _core.GgufFile(str(path)).check_supported()


def test_a_quantized_norm_is_refused_by_name(tmp_path: Path) -> None:
    model = random_llama()
    has_quantized_norm(model)
    path = model.write(tmp_path / "norm.gguf")
    with pytest.raises(UnsupportedModelError, match=r"blk\.0\.attn_norm\.weight"):
        _core.Model(str(path))


DAMAGED_LLAMA: dict[str, tuple[Change, str]] = {
    **{
        f"without_{key}": (lacks_key(key), f"llama.{key}")
        for key in (
            "block_count",
            "embedding_length",
            "feed_forward_length",
            "attention.head_count",
            "attention.layer_norm_rms_epsilon",
        )
    },
    **{
        f"without_{name}": (lacks_tensor(name), name)
        for name in (
            "token_embd.weight",
            "blk.0.attn_norm.weight",
            "blk.1.attn_q.weight",
            "blk.1.ffn_down.weight",
            "output_norm.weight",
        )
    },
    "wrong_matrix": (has_tensor("blk.1.attn_k.weight", 31, 64), "blk.1.attn_k.weight"),
    "transposed_matrix": (has_tensor("blk.1.ffn_up.weight", 64, 96), "[96, 64]"),
    "wrong_bias": (has_tensor("blk.1.attn_k.bias", 31), "blk.1.attn_k.bias"),
    "wrong_norm": (has_tensor("output_norm.weight", 63), "output_norm.weight"),
    "flat_embedding": (has_tensor("token_embd.weight", 64 * 301), "token_embd.weight"),
    "narrow_head": (has_tensor("output.weight", 301, 63), "output.weight"),
    "no_layers": (sets("block_count", 0), "llama.block_count"),
    "one_layer_more": (sets("block_count", 3), "blk.2."),
    "millions_of_layers": (sets("block_count", 1 << 24), "block"),
    "billions_of_layers": (sets("block_count", 4_000_000_000), "llama.block_count"),
    "huge_heads": (sets("attention.key_length", 8200), "llama.attention.key_length"),
    "no_heads": (sets("attention.head_count", 0), "llama.attention.head_count"),
    "heads_do_not_divide": (sets("attention.head_count", 5), "llama."),
    "kv_heads_do_not_divide": (sets("attention.head_count_kv", 3), "llama.attention.head_count_kv"),
    "more_kv_heads_than_heads": (sets("attention.head_count_kv", 8), "llama.attention.head_count_kv"),
    "text_for_a_number": (sets("embedding_length", "64"), "llama.embedding_length"),
    "eps_0": (sets("attention.layer_norm_rms_epsilon", 0.0), "layer_norm_rms_epsilon"),
    "eps_not_a_number": (sets("attention.layer_norm_rms_epsilon", float("nan")), "layer_norm_rms_epsilon"),
    "rope_dims_odd": (sets("rope.dimension_count", 15), "llama.rope.dimension_count"),
    "rope_dims_past_the_head": (sets("rope.dimension_count", 18), "llama.rope.dimension_count"),
    "rope_factor_0": (sets("rope.scaling.factor", 0.0), "llama.rope.scaling.factor"),
    "rope_base_negative": (sets("rope.freq_base", -1.0), "llama.rope.freq_base"),
}

DAMAGED_BLOOM: dict[str, tuple[Change, str]] = {
    "without_epsilon": (lacks_key("attention.layer_norm_epsilon"), "bloom.attention.layer_norm_epsilon"),
    "without_embedding_norm": (lacks_tensor("token_embd_norm.bias"), "token_embd_norm.bias"),
    "without_qkv": (lacks_tensor("blk.0.attn_qkv.weight"), "blk.0.attn_qkv.weight"),
    "without_norm_bias": (lacks_tensor("blk.1.ffn_norm.bias"), "blk.1.ffn_norm.bias"),
    "short_qkv": (has_tensor("blk.0.attn_qkv.weight", 96, 96), "[288, 96]"),
    "grouped_queries": (sets("attention.head_count_kv", 2), "bloom.attention.head_count"),
}


@pytest.mark.parametrize("name", DAMAGED_LLAMA)
def test_damaged_llama(tmp_path: Path, name: str) -> None:
    change, mentioned = DAMAGED_LLAMA[name]
    assert_damaged(random_llama(), change, mentioned, tmp_path / "damaged.gguf")


@pytest.mark.parametrize("name", DAMAGED_BLOOM)
def test_damaged_bloom(tmp_path: Path, name: str) -> None:
    change, mentioned = DAMAGED_BLOOM[name]
    assert_damaged(random_bloom(), change, mentioned, tmp_path / "damaged.gguf")


def assert_damaged(model: GgufModel, change: Change, mentioned: str, path: Path) -> None:
    change(model)
    model.write(path)
    with pytest.raises(ModelFormatError) as caught:
        _core.Model(str(path))
    assert mentioned in str(caught.value)
    assert path.name in str(caught.value)


def test_what_changes_nothing_is_accepted(tmp_path: Path) -> None:
    """Zero experts, a scaling of type none, a head_count_kv for BLOOM: other converters write these."""
    model = random_llama()
    model.metadata |= {"expert_count": 0, "expert_used_count": 0, "rope.scaling.type": "none"}
    ours = _core.Model(str(model.write(tmp_path / "llama.gguf")))
    plain = _core.Model(str(random_llama().write(tmp_path / "plain.gguf")))
    np.testing.assert_array_equal(
        ours.forward([(ours.new_sequence(), [1, 2, 3])])[0],
        plain.forward([(plain.new_sequence(), [1, 2, 3])])[0],
    )
    bloom = random_bloom()
    bloom.metadata["attention.head_count_kv"] = 6
    assert _core.Model(str(bloom.write(tmp_path / "bloom.gguf"))).config["n_kv_heads"] == 6


def test_config_and_sizes(tmp_path: Path) -> None:
    model = _core.Model(str(random_llama().write(tmp_path / "llama.gguf")), threads=3)
    assert model.config == {
        "architecture": "llama",
        "n_layers": 2,
        "n_heads": 4,
        "n_kv_heads": 2,
        "head_dim": 16,
        "hidden_size": 64,
        "feed_forward_size": 96,
        "vocab_size": 301,
        "context_length": 128,
    }
    assert model.threads == 3
    assert model.kv_type == "f32"
    n_weights = sum(tensor.size for tensor in random_llama().tensors.values())
    assert 4 * n_weights <= model.weight_bytes <= 4 * n_weights + 2**17


def test_every_spelling_of_linear_rope_scaling(tmp_path: Path) -> None:
    """As llama.cpp reads them: no type is linear, and old files have `rope.scale_linear` alone."""

    def logits(**keys: object) -> NDArray[np.float32]:
        parts = random_llama()
        parts.metadata |= {key.replace("__", "."): value for key, value in keys.items()}
        model = _core.Model(str(parts.write(tmp_path / "rope.gguf")))
        return model.forward([(model.new_sequence(), [5, 6, 7])])[0]

    plain, scaled = logits(), logits(rope__scaling__type="linear", rope__scaling__factor=4.0)
    assert not np.allclose(plain, scaled, rtol=1e-3)
    np.testing.assert_array_equal(logits(rope__scaling__factor=4.0), scaled)
    np.testing.assert_array_equal(logits(rope__scale_linear=4.0), scaled)
    np.testing.assert_array_equal(logits(rope__scaling__type="linear"), plain)
    np.testing.assert_array_equal(logits(rope__scaling__type="none", rope__scaling__factor=4.0), plain)

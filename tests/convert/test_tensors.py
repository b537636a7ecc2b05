"""Every tensor of the output against a second, simple statement of what it should hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

from belle_edge.convert import convert

QUANTIZED = ("q4_0", "q4_1", "q8_0")
Arrays = dict[str, NDArray[np.float32]]


def source_tensors(folder: Path) -> Arrays:
    """name without prefix → float32 values, read by torch."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    tensors = load_file(folder / "model.safetensors")
    return {
        name.removeprefix("transformer.").removeprefix("model."): tensor.to(torch.float32).numpy()
        for name, tensor in tensors.items()
    }


def expected_bloom(source: Arrays, *, n_heads: int) -> Arrays:
    expected = {
        "token_embd.weight": source["word_embeddings.weight"],
        "token_embd_norm.weight": source["word_embeddings_layernorm.weight"],
        "token_embd_norm.bias": source["word_embeddings_layernorm.bias"],
        "output_norm.weight": source["ln_f.weight"],
        "output_norm.bias": source["ln_f.bias"],
    }
    names = {
        "attn_norm": "input_layernorm",
        "attn_output": "self_attention.dense",
        "ffn_norm": "post_attention_layernorm",
        "ffn_up": "mlp.dense_h_to_4h",
        "ffn_down": "mlp.dense_4h_to_h",
    }
    n_layers = 1 + max(int(name.split(".")[1]) for name in source if name.startswith("h."))
    for layer in range(n_layers):
        for part in ("weight", "bias"):
            for target, name in names.items():
                expected[f"blk.{layer}.{target}.{part}"] = source[f"h.{layer}.{name}.{part}"]
            fused = source[f"h.{layer}.self_attention.query_key_value.{part}"]
            head_dim = fused.shape[0] // n_heads // 3
            split: dict[int, list[Any]] = {0: [], 1: [], 2: []}
            for head in range(n_heads):
                for which in range(3):
                    first = (3 * head + which) * head_dim
                    split[which].append(fused[first : first + head_dim])
            expected[f"blk.{layer}.attn_qkv.{part}"] = np.concatenate(split[0] + split[1] + split[2])
    return expected


def expected_llama(source: Arrays, *, n_heads: int, n_kv_heads: int) -> Arrays:
    expected = {
        "token_embd.weight": source["embed_tokens.weight"],
        "output_norm.weight": source["norm.weight"],
    }
    if "lm_head.weight" in source:
        expected["output.weight"] = source["lm_head.weight"]
    names = {
        "attn_norm": "input_layernorm",
        "attn_q": "self_attn.q_proj",
        "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj",
        "ffn_norm": "post_attention_layernorm",
        "ffn_gate": "mlp.gate_proj",
        "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj",
    }
    heads = {"attn_q": n_heads, "attn_k": n_kv_heads}
    n_layers = 1 + max(int(name.split(".")[1]) for name in source if name.startswith("layers."))
    for layer in range(n_layers):
        for target, name in names.items():
            for part in ("weight", "bias"):
                values = source.get(f"layers.{layer}.{name}.{part}")
                if values is None:
                    continue
                if target in heads:
                    values = interleave_halves(values, heads[target])
                expected[f"blk.{layer}.{target}.{part}"] = values
    return expected


def interleave_halves(rows: NDArray[np.float32], n_heads: int) -> NDArray[np.float32]:
    """Within each head: row 0, row d/2, row 1, row d/2+1, …"""
    result = np.empty_like(rows)
    head_dim = rows.shape[0] // n_heads
    for head in range(n_heads):
        first = head * head_dim
        for i in range(head_dim // 2):
            result[first + 2 * i] = rows[first + i]
            result[first + 2 * i + 1] = rows[first + head_dim // 2 + i]
    return result


def expected_bytes(values: NDArray[np.float32], type: str) -> NDArray[np.uint8]:
    """The gguf package's bytes of a tensor converted to `type`."""
    if values.ndim == 1:
        type = "f32"
    elif type in QUANTIZED and values.shape[1] % 32:
        type = "f16"
    data = gguf.quants.quantize(values, gguf.GGMLQuantizationType[type.upper()])
    return np.ascontiguousarray(data).view(np.uint8).reshape(-1)


def check_tensors(path: Path, expected: Arrays, type: str) -> None:
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    assert tensors.keys() == expected.keys()
    for name, values in expected.items():
        assert tuple(reversed(tensors[name].shape.tolist())) == values.shape, name
        found = np.ascontiguousarray(tensors[name].data).view(np.uint8).reshape(-1)
        np.testing.assert_array_equal(found, expected_bytes(values, type), err_msg=f"{name} as {type}")


@pytest.mark.parametrize("type", ["f32", "f16", "bf16", "q4_0", "q4_1", "q8_0"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_bloom_tensors_of_every_type(make_bloom: Any, tmp_path: Path, type: str, dtype: str) -> None:
    folder = make_bloom(dtype=dtype)
    convert(folder, tmp_path / "out.gguf", type=type, pure=True)
    check_tensors(tmp_path / "out.gguf", expected_bloom(source_tensors(folder), n_heads=3), type)


@pytest.mark.parametrize("type", ["f32", "f16", "bf16", "q4_0", "q4_1", "q8_0"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_llama_tensors_of_every_type(make_llama: Any, tmp_path: Path, type: str, dtype: str) -> None:
    folder = make_llama(dtype=dtype)
    convert(folder, tmp_path / "out.gguf", type=type, pure=True)
    check_tensors(
        tmp_path / "out.gguf", expected_llama(source_tensors(folder), n_heads=4, n_kv_heads=2), type
    )


@pytest.mark.parametrize(
    "overrides",
    [
        {"attention_bias": True, "mlp_bias": True},
        {"tie_word_embeddings": True},
        {"head_dim": 24},
        {"num_attention_heads": 6, "num_key_value_heads": 3, "hidden_size": 60, "intermediate_size": 100},
        {"num_key_value_heads": 4},
    ],
    ids=["biases", "tied", "head_dim", "indivisible", "no-gqa"],
)
def test_llama_variants(make_llama: Any, tmp_path: Path, overrides: dict[str, Any]) -> None:
    folder = make_llama(**overrides)
    report = convert(folder, tmp_path / "out.gguf", type="q8_0")
    source = source_tensors(folder)
    n_heads = overrides.get("num_attention_heads", 4)
    n_kv_heads = overrides.get("num_key_value_heads", 2)
    check_tensors(
        tmp_path / "out.gguf", expected_llama(source, n_heads=n_heads, n_kv_heads=n_kv_heads), "q8_0"
    )
    indivisible = [t.name for t in report.tensors if len(t.shape) == 2 and t.shape[1] % 32]
    assert [tensor.name for tensor in report.fallbacks] == indivisible


def test_blocks_do_not_change_the_result(
    make_bloom: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_bloom()
    convert(folder, tmp_path / "whole.gguf")
    monkeypatch.setattr("belle_edge.convert.quantization.BLOCK_BYTES", 1000)
    convert(folder, tmp_path / "blocks.gguf", threads=2)
    assert (tmp_path / "whole.gguf").read_bytes() == (tmp_path / "blocks.gguf").read_bytes()


def rewrite(folder: Path, name: str, change: Any) -> None:
    """Replace one tensor of a safetensors file by change(values)."""
    from safetensors.numpy import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    tensors[name] = change(tensors[name].copy())
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def set_first(values: NDArray[Any], value: float) -> NDArray[Any]:
    values.reshape(-1)[0] = value
    return values


@pytest.mark.parametrize("type", ["f32", "f16", "q4_0"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused_by_name(
    make_llama: Any, tmp_path: Path, type: str, value: float
) -> None:
    folder = make_llama()
    name = "model.layers.1.mlp.up_proj.weight"
    rewrite(folder, name, lambda values: set_first(values, value))
    with pytest.raises(ValueError, match=name.replace(".", r"\.")):
        convert(folder, tmp_path / "out.gguf", type=type)
    assert list(tmp_path.glob("out.gguf*")) == []


def test_values_beyond_f16(make_llama: Any, tmp_path: Path) -> None:
    folder = make_llama(intermediate_size=100)  # ffn_down has rows of 100: a float type in q4_0
    rewrite(folder, "model.layers.0.mlp.down_proj.weight", lambda values: set_first(values, 1e6))
    report = convert(folder, tmp_path / "out.gguf")
    types = {tensor.name: (tensor.type, tensor.fallback) for tensor in report.tensors}
    assert types["blk.0.ffn_down.weight"] == (
        "f32",
        "rows of 100 are not a multiple of 32, and a value exceeds f16",
    )
    assert types["blk.1.ffn_down.weight"][0] == "f16"
    with pytest.raises(ValueError, match=r"down_proj.*too large for f16"):
        convert(folder, tmp_path / "f16.gguf", type="f16")

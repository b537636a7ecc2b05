"""GPTQ checkpoints: every value of the output against a second, simple statement of what the file means."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from belle_edge import _core
from belle_edge.convert import convert

from .gptq_files import (
    Recipe,
    check_values,
    copy_metadata,
    make_packed,
    mapped,
    pack_checkpoint,
    read_checkpoint,
    read_gguf,
    write_checkpoint,
    write_dequantized,
)
from .logits import native_logits, transformers_logits

CLOSE_CALL = 0.01  # logits (their deviation is 2.5); the engines' rounding differs by CPU

REPACKED = [
    (Recipe(), "q4_1"),
    (Recipe(plain_zeros=True), "q4_1"),
    (Recipe(group_size=64, g_idx=True), "q4_1"),  # the last group is shorter
    (Recipe(group_size=1024), "q4_1"),  # one group for the whole column
    (Recipe(scale_type="float32"), "q4_1"),
    (Recipe(symmetric=True), "q4_0"),
    (Recipe(symmetric=True, plain_zeros=True, g_idx=True), "q4_0"),
    (Recipe(bits=8, symmetric=True), "q8_0"),
    (Recipe(bits=8, symmetric=True, plain_zeros=True, scale_type="float32"), "q8_0"),
    (Recipe(bits=3), "q4_1"),
    (Recipe(bits=2, plain_zeros=True), "q4_1"),
]


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["bloom", "llama"])
@pytest.mark.parametrize(("recipe", "type"), REPACKED, ids=str)
def test_repacked(
    make_bloom: Any, make_llama: Any, tmp_path: Path, architecture: str, recipe: Recipe, type: str
) -> None:
    maker = make_bloom if architecture == "bloom" else make_llama
    folder, packed = make_packed(maker, tmp_path, recipe)
    write_checkpoint(folder, packed.stored)
    report = convert(folder, tmp_path / "out.gguf")
    types = check_values(tmp_path / "out.gguf", mapped(packed.in_blocks, architecture))
    for name, kind in types.items():
        in_block = name.startswith("blk.") and name.endswith(".weight") and "norm" not in name
        assert kind == (type if in_block else "f32" if "norm" in name or "bias" in name else "f16"), name
    assert report.fallbacks == []
    assert report.type in (type, "f16")  # of so small models the embedding may be the larger part


def test_f16_rounding_is_all_that_is_lost(make_llama: Any, tmp_path: Path) -> None:
    """Of d for d · code, of m, beside the exact values: half a unit in the last of 11 bits of each."""
    folder, packed = make_packed(make_llama, tmp_path, Recipe(scale_type="float32"))
    write_checkpoint(folder, packed.stored)
    convert(folder, tmp_path / "out.gguf")
    exact, found = mapped(packed.values, "llama"), read_gguf(tmp_path / "out.gguf")
    for name, (kind, values) in found.items():
        if kind == "q4_1":
            largest = np.abs(exact[name]).reshape(*values.shape[:-1], -1, 32).max(axis=-1).repeat(32, axis=-1)
            assert (np.abs(values - exact[name]) <= 3 * largest * 2.0**-11).all(), name


@pytest.mark.parametrize("type", ["f32", "f16"])
@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(),
        Recipe(bits=8),
        Recipe(bits=3, act_order=True),
        Recipe(bits=2, group_size=48),
        Recipe(symmetric=True),
    ],
    ids=str,
)
def test_float_types_have_the_exact_values(
    make_bloom: Any, tmp_path: Path, recipe: Recipe, type: str
) -> None:
    folder, packed = make_packed(make_bloom, tmp_path, recipe)
    write_checkpoint(folder, packed.stored)
    if recipe.group_size == 48:  # 96 and 384 inputs: the shapes alone would do, the configuration says it
        (folder / "quantize_config.json").write_text(json.dumps({"bits": 2, "group_size": 48}))
    report = convert(folder, tmp_path / "out.gguf", type=type)
    expected = mapped(packed.values, "bloom")
    if type == "f16":
        expected = {
            name: values.astype(np.float16).astype(np.float32) if values.ndim == 2 else values
            for name, values in expected.items()
        }
    types = check_values(tmp_path / "out.gguf", expected)
    assert {kind for name, kind in types.items() if expected[name].ndim == 2} == {type}
    assert not any("once more" in warning for warning in report.warnings)


@pytest.mark.parametrize(
    ("recipe", "type", "reason"),
    [
        (Recipe(act_order=True), "q4_1", "act-order"),
        (Recipe(bits=8), "q8_0", "zero is not 128"),
        (Recipe(bits=3, act_order=True), "q4_1", "act-order"),
        (Recipe(group_size=16), "q4_1", "several groups"),
        (Recipe(bits=8, symmetric=True, group_size=16), "q8_0", "several groups"),
    ],
    ids=str,
)
def test_requantized(
    make_llama: Any, tmp_path: Path, capsys: Any, recipe: Recipe, type: str, reason: str
) -> None:
    """What no GGUF type has goes to the nearest one as any float matrix would, and the report says so."""
    folder, packed = make_packed(make_llama, tmp_path, recipe)
    write_checkpoint(folder, packed.stored)
    report = convert(folder, tmp_path / "out.gguf")
    kind = gguf.GGMLQuantizationType[type.upper()]
    for name, (found_type, values) in read_gguf(tmp_path / "out.gguf").items():
        exact = mapped(packed.values, "llama")[name]
        if name.startswith("blk.") and exact.ndim == 2:
            expected = gguf.quants.dequantize(gguf.quants.quantize(exact, kind), kind)
            assert found_type == type
            np.testing.assert_array_equal(values, expected, err_msg=name)
    assert len(report.fallbacks) == 14
    assert all(reason in str(tensor.fallback) for tensor in report.fallbacks)
    assert any("14 quantized matrices were quantized once more" in warning for warning in report.warnings)
    report.print()
    assert f"kept as {type}: 14 matrices, blk.{{0-1}}.attn_q.weight, " in capsys.readouterr().out


def test_a_quantized_type_is_for_what_is_not_in_blocks(make_llama: Any, tmp_path: Path) -> None:
    folder, packed = make_packed(make_llama, tmp_path, Recipe())
    write_checkpoint(folder, packed.stored)
    report = convert(folder, tmp_path / "out.gguf", type="q8_0")
    types = {tensor.name: tensor.type for tensor in report.tensors}
    assert (types["token_embd.weight"], types["output.weight"]) == ("q8_0", "q8_0")
    assert types["blk.0.ffn_down.weight"] == "q4_1"
    assert {tensor.fallback for tensor in report.fallbacks} == {"quantized already, taken over as it is"}


def test_an_embedding_beyond_f16(make_llama: Any, tmp_path: Path) -> None:
    folder, packed = make_packed(make_llama, tmp_path, Recipe())
    embedding = packed.stored["model.embed_tokens.weight"].astype(np.float32)
    embedding[3, 5] = 1e6
    packed.stored["model.embed_tokens.weight"] = embedding
    write_checkpoint(folder, packed.stored)
    report = convert(folder, tmp_path / "out.gguf")
    kinds = {tensor.name: (tensor.type, tensor.fallback) for tensor in report.tensors}
    assert kinds["token_embd.weight"] == ("f32", "a value exceeds f16")
    assert kinds["output.weight"] == ("f16", None)


@pytest.mark.parametrize(
    ("name", "legacy"),
    [("a.pt", True), ("b.safetensors", False), ("model.safetensors", False), ("pytorch_model.bin", False)],
)
def test_every_kind_of_file(make_bloom: Any, tmp_path: Path, name: str, legacy: bool) -> None:
    folder, packed = make_packed(make_bloom, tmp_path, Recipe(group_size=96))
    path = write_checkpoint(folder, packed.stored)
    convert(folder, tmp_path / "expected.gguf")
    path.unlink()
    write_checkpoint(folder, packed.stored, name, legacy=legacy)
    convert(folder, tmp_path / "out.gguf")
    assert (tmp_path / "out.gguf").read_bytes() == (tmp_path / "expected.gguf").read_bytes()


def test_blocks_of_rows_do_not_change_the_result(
    make_bloom: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, packed = make_packed(make_bloom, tmp_path, Recipe())
    write_checkpoint(folder, packed.stored)
    convert(folder, tmp_path / "whole.gguf")
    monkeypatch.setattr("belle_edge.convert.quantization.BLOCK_BYTES", 10_000)
    convert(folder, tmp_path / "blocks.gguf")
    assert (tmp_path / "whole.gguf").read_bytes() == (tmp_path / "blocks.gguf").read_bytes()


def test_biases(make_llama: Any, tmp_path: Path) -> None:
    """GPTQ gives each matrix a bias; LLaMA's that are zero are left out, others are kept."""
    folder, packed = make_packed(make_llama, tmp_path, Recipe())
    values = np.linspace(-1, 1, 64, dtype=np.float16)
    packed.stored["model.layers.1.self_attn.o_proj.bias"] = values
    write_checkpoint(folder, packed.stored)
    convert(folder, tmp_path / "out.gguf")
    biases = {name: array for name, (_, array) in read_gguf(tmp_path / "out.gguf").items() if "bias" in name}
    assert biases.keys() == {"blk.1.attn_output.bias"}
    np.testing.assert_array_equal(biases["blk.1.attn_output.bias"], values.astype(np.float32))
    _core.Model(str(tmp_path / "out.gguf"))


# Running the result


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "type"), [(Recipe(group_size=128), "q4_1"), (Recipe(symmetric=True), "q4_0")]
)
@pytest.mark.parametrize("model", ["bloom", "llama"])
def test_logits(
    checkpoint: Callable[[str], Path], make_llama: Any, tmp_path: Path, model: str, recipe: Recipe, type: str
) -> None:
    """In f32 as transformers computes; in blocks off by what the coarsest form of the activations costs."""
    large = {"hidden_size": 256, "intermediate_size": 640, "vocab_size": 400}
    source = make_llama("source", **large) if model == "llama" else checkpoint(model)
    packed = pack_checkpoint(read_checkpoint(source), recipe)
    copy_metadata(source, tmp_path / "packed")
    write_checkpoint(tmp_path / "packed", packed.stored)
    ids = np.random.default_rng(3).integers(4, 300, size=40).tolist()
    expected = transformers_logits(write_dequantized(source, tmp_path / "plain", packed.values), ids)
    for kind, bound in ((None, 8e-2), ("f32", 1e-3)):
        convert(tmp_path / "packed", tmp_path / "out.gguf", type=kind, force=True)
        found = native_logits(tmp_path / "out.gguf", ids)
        error = float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
        assert error < bound, (kind, error)


@pytest.mark.slow
@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(group_size=128),
        Recipe(symmetric=True, group_size=128),
        Recipe(bits=8, symmetric=True, group_size=128),
    ],
    ids=str,
)
def test_llama_cpp_writes_the_same_text_but_for_close_calls(
    llama_cpp: Any, checkpoint: Callable[[str], Path], tmp_path: Path, recipe: Recipe
) -> None:
    source = checkpoint("bloom")
    packed = pack_checkpoint(read_checkpoint(source), recipe)
    path = write_checkpoint(tmp_path / "BELLE-7B-gptq", packed.stored, "bloom7b-2m-4bit-128g.pt")
    convert(path, tmp_path / "out.gguf", tokenizer=source, family="belle")
    text = "Human: 请写一首诗。\n\nAssistant:"
    other = llama_cpp.Llama(str(tmp_path / "out.gguf"), n_ctx=256, n_threads=2, verbose=False, seed=0)
    ids = other.tokenize(text.encode(), special=True)
    expected = []
    for token in other.generate(ids, temp=0.0, repeat_penalty=1.0):
        expected.append(token)
        if len(expected) == 32:
            break
    logits = native_logits(tmp_path / "out.gguf", [*ids, *expected[:-1]])[len(ids) - 1 :]
    # By taking llama.cpp's token instead of our own:
    lost = logits.max(axis=1) - logits[np.arange(32), expected]
    assert lost.max() < CLOSE_CALL
    assert np.count_nonzero(lost) <= 1

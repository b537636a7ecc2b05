"""Prefill in the coarser activation forms: what takes them, how far they are off, and how they are chosen.

Needs a tier that has them: AVX-512 VNNI has int8 slabs, AMX (or a build with BELLE_EMULATE_AMX=1, see
docs/ADDING_A_KERNEL.md) bfloat16 too.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType
from gguf.quants import quantize
from numpy.typing import NDArray

from belle_edge import _core
from belle_edge.cli.measured import measured_lines

from .conftest import ModelFile
from .gguf_models import RANDOM_MODELS, GgufModel, random_llama

Ids = NDArray[np.int32]

# Relative RMS error of a linear layer's outputs on random data, and of the logits of a random two-layer model. block32
# gives 0.006 and 0.025.
TOLERANCES = {"slab256": (0.015, 0.06), "bf16": (0.004, 0.015)}
QUANTIZED_TYPES = ["q4_0", "q4_1", "q8_0"]
LEFT_TO_BLOCK32 = {("avx2", "q8_0")}  # types for which a tier has no other form


def wide_tiers() -> list[Any]:
    tiers = [tier for tier in _core.isa_tiers() if len(tier["activation_forms"]) > 1]
    skip = pytest.mark.skip(
        reason="no tier here has other forms than block32 (BELLE_EMULATE_AMX=1 builds one for AVX-512)"
    )
    if not any(tier["supported"] for tier in tiers):
        return [pytest.param("none", marks=skip)]
    return [tier["name"] for tier in tiers if tier["supported"]]


@pytest.fixture(scope="module", params=wide_tiers())
def wide_tier(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def forms_of(tier: str) -> list[str]:
    return next(entry["activation_forms"] for entry in _core.isa_tiers() if entry["name"] == tier)


@pytest.fixture(params=sorted(TOLERANCES))
def form(request: pytest.FixtureRequest, wide_tier: str) -> str:
    if request.param not in forms_of(wide_tier):
        pytest.skip(f"tier {wide_tier} has no {request.param}")
    return str(request.param)


def finer_form(tier: str) -> str:
    """What a tier takes where slabs are too coarse."""
    return "bf16" if "bf16" in forms_of(tier) else "block32"


def random_layer(type: str, n_rows: int, k: int, n_tokens: int) -> tuple[Any, Any, Any]:
    """(GGUF rows, activations [n_tokens, k], exact outputs [n_tokens, n_rows])"""
    random = np.random.default_rng(n_rows + k + n_tokens)
    rows = _core.quantize(random.normal(size=(n_rows, k)).astype(np.float32), type)
    x = random.normal(size=(n_tokens, k)).astype(np.float32)
    return rows, x, x.astype(np.float64) @ _core.dequantize(rows, type).astype(np.float64).T


@pytest.mark.slow
@pytest.mark.parametrize("type", QUANTIZED_TYPES)
@pytest.mark.parametrize(
    ("n_rows", "k", "n_tokens"), [(70, 96, 17), (129, 544, 33), (320, 1376, 100), (16, 256, 600)]
)
def test_a_linear_layer(wide_tier: str, form: str, type: str, n_rows: int, k: int, n_tokens: int) -> None:
    rows, x, exact = random_layer(type, n_rows, k, n_tokens)
    y = _core.linear(rows, type, x, isa=wide_tier, threads=1, activations=form)
    assert rms_error(y, exact) < TOLERANCES[form][0]
    for threads in (2, 3, 5):
        other = _core.linear(rows, type, x, isa=wide_tier, threads=threads, activations=form)
        np.testing.assert_array_equal(other, y)


@pytest.mark.parametrize("type", QUANTIZED_TYPES)
def test_few_tokens_take_the_same_form_as_many(wide_tier: str, form: str, type: str) -> None:
    rows, x, _ = random_layer(type, 100, 288, 40)
    whole = _core.linear(rows, type, x, isa=wide_tier, activations=form)
    for n_tokens in (1, 2, 15, 16, 17, 33):
        y = _core.linear(rows, type, x[:n_tokens], isa=wide_tier, activations=form)
        np.testing.assert_array_equal(y, whole[:n_tokens])
    same = np.array_equal(_core.linear(rows, type, x, isa=wide_tier, activations="block32"), whole)
    assert same == ((wide_tier, type) in LEFT_TO_BLOCK32)


@pytest.mark.parametrize("type", ["f32", "f16", "bf16"])
def test_float_weights_have_one_form(wide_tier: str, form: str, type: str) -> None:
    rows, x, _ = random_layer(type, 40, 100, 30)
    y = _core.linear(rows, type, x, isa=wide_tier, activations=form)
    np.testing.assert_array_equal(y, _core.linear(rows, type, x, isa=wide_tier))


def rms_error(values: NDArray[np.float32], exact: NDArray[Any]) -> float:
    return float(np.linalg.norm(values - exact) / np.linalg.norm(exact))


def logits_of(
    model: _core.Model, ids: Ids, sizes: list[int] | None = None, *, decode: bool = False
) -> NDArray[np.float32]:
    sequence, rows, first = model.new_sequence(), [], 0
    for size in sizes or [len(ids)]:
        rows.append(model.forward([(sequence, ids[first : first + size])], logits="all", decode=decode)[0])
        first += size
    return np.concatenate(rows)


def dequantized(model: GgufModel, type: str) -> GgufModel:
    """The same weights after rounding, as floats."""
    tensors = {
        name: _core.dequantize(_core.quantize(tensor, type), type) if tensor.ndim == 2 else tensor
        for name, tensor in model.tensors.items()
    }
    return GgufModel(model.architecture, model.metadata, tensors)


@pytest.mark.parametrize("architecture", ["llama", "bloom"])
@pytest.mark.parametrize("type", QUANTIZED_TYPES)
def test_a_model(
    wide_tier: str, form: str, architecture: str, type: str, model_file: ModelFile, tmp_path: Path, ids: Ids
) -> None:
    floats = dequantized(RANDOM_MODELS[architecture](), type).write(tmp_path / "floats.gguf")
    path = str(model_file(architecture, type))
    block = _core.Model(path, isa=wide_tier, activations="block32")
    wide = _core.Model(path, isa=wide_tier, activations=form)
    logits = logits_of(wide, ids[:100])
    assert rms_error(logits, logits_of(_core.Model(str(floats)), ids[:100])) < TOLERANCES[form][1]
    # Any cut gives the same bits; decoding gives those of block32.
    np.testing.assert_array_equal(logits_of(wide, ids[:100], [33, 1, 16, 17, 33]), logits)
    decoded = logits_of(wide, ids[:48], [16, 1, 15, 16], decode=True)
    np.testing.assert_array_equal(decoded, logits_of(block, ids[:48]))
    other = _core.Model(path, isa=wide_tier, activations=form, threads=3)
    np.testing.assert_array_equal(logits_of(other, ids[:100]), logits)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["llama", "bloom"])
def test_neighbours_change_nothing(
    wide_tier: str, form: str, architecture: str, model_file: ModelFile, ids: Ids
) -> None:
    """Prompts and tokens that were decoded, side by side in any order."""
    model = _core.Model(str(model_file(architecture, "q4_0")), isa=wide_tier, activations=form)
    sizes = [1, 1, 40, 16, 17, 3, 600, 12]  # 600: more than one pass
    decode = [True, False, False, True, False, False, False, True]
    parts = [np.resize(ids, size + i)[i:] for i, size in enumerate(sizes)]
    alone = [logits_of(model, part, decode=phase) for part, phase in zip(parts, decode, strict=True)]
    together = model.forward([(model.new_sequence(), part) for part in parts], logits="all", decode=decode)
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def choices_of(path: Path, tier: str, threads: int = 0) -> list[_core.ActivationChoice]:
    return _core.Model(str(path), isa=tier, threads=threads).activation_forms


def test_every_matrix_of_the_layers_is_measured(wide_tier: str, model_file: ModelFile) -> None:
    path = model_file("llama", "q4_0")
    choices = choices_of(path, wide_tier)
    expected = {
        t.name for t in _core.GgufFile(str(path)).tensors() if len(t.shape) == 2 and t.name[:4] == "blk."
    }
    assert {choice["tensor"] for choice in choices} == expected
    for choice in choices:
        assert choice["form"] in choice["errors"]
        by_error = [form for form in ("bf16", "block32", "slab256") if form in forms_of(wide_tier)]
        assert sorted(choice["errors"]) == sorted(forms_of(wide_tier))
        errors = sorted(choice["errors"][form] for form in by_error)
        assert choice["influence"] > 0
        if not choice["outliers"]:
            assert errors == [choice["errors"][form] for form in by_error]
        assert errors[0] > 0
        assert errors[-1] < 0.1
        assert 0.01 < choice["weight_error"] < 0.3
    assert not all(choice["outliers"] for choice in choices)
    assert choices_of(path, wide_tier, threads=3) == choices


def test_a_tier_with_one_form_measures_nothing(model_file: ModelFile) -> None:
    assert choices_of(model_file("llama", "q4_0"), "scalar") == []


def test_a_file_of_floats_is_not_measured(wide_tier: str, model_file: ModelFile) -> None:
    assert choices_of(model_file("llama", "f32"), wide_tier) == []


CONSUMERS = {"attn_norm": ("attn_q", "attn_k", "attn_v"), "ffn_norm": ("ffn_gate", "ffn_up")}
OUTLIERS = list(range(0, 512, 80))


def with_large_channels(channels: slice) -> GgufModel:
    """Some channels of each layer's input are 32 times as large; the same function, but for rounding."""
    model = random_llama(hidden=512, n_heads=8, n_kv_heads=4, feed_forward=256)
    tensors = dict(model.tensors)
    scale = np.ones(512, dtype=np.float32)
    scale[channels] = 32
    for layer in range(2):
        for norm, consumers in CONSUMERS.items():
            tensors[f"blk.{layer}.{norm}.weight"] = tensors[f"blk.{layer}.{norm}.weight"] * scale
            for name in consumers:
                tensors[f"blk.{layer}.{name}.weight"] = tensors[f"blk.{layer}.{name}.weight"] / scale
    return GgufModel(model.architecture, model.metadata, tensors)


def choices_by_tensor(path: Path, tier: str) -> dict[str, _core.ActivationChoice]:
    return {choice["tensor"]: choice for choice in choices_of(path, tier)}


@pytest.mark.slow
def test_outliers_are_kept_out_of_the_slabs(wide_tier: str, tmp_path: Path) -> None:
    plain, outliers = tmp_path / "plain.gguf", tmp_path / "outliers.gguf"
    with_large_channels(slice(0)).write(plain, "q4_0")
    with_large_channels(slice(0, 512, 80)).write(outliers, "q4_0")
    without, choices = choices_by_tensor(plain, wide_tier), choices_by_tensor(outliers, wide_tier)
    for layer in range(2):
        for names in CONSUMERS.values():
            for name in names:
                tensor = f"blk.{layer}.{name}.weight"
                assert choices[tensor]["form"] == "slab256"
                assert set(OUTLIERS) <= set(choices[tensor]["outliers"])
                assert len(without[tensor]["outliers"]) <= 2
                errors = choices[tensor]["errors"]
                assert errors["slab256"] < 0.5 * errors["block32"], (
                    "blocks have outliers in them, slabs have none"
                )


def test_more_large_channels_than_can_be_kept_out_ask_for_the_finer_form(
    wide_tier: str, tmp_path: Path
) -> None:
    with_large_channels(slice(0, 128)).write(tmp_path / "model.gguf", "q4_0")
    choices = choices_by_tensor(tmp_path / "model.gguf", wide_tier)
    for name in ("blk.0.attn_q.weight", "blk.0.ffn_up.weight"):
        assert choices[name]["form"] == finer_form(wide_tier)
        assert choices[name]["outliers"] == []


@pytest.mark.slow
def test_a_model_with_outliers(wide_tier: str, tmp_path: Path, ids: Ids) -> None:
    model = with_large_channels(slice(0, 512, 80))
    path = model.write(tmp_path / "outliers.gguf", "q4_0")
    exact = logits_of(_core.Model(str(dequantized(model, "q4_0").write(tmp_path / "floats.gguf"))), ids[:100])
    wide = _core.Model(str(path), isa=wide_tier)
    logits = logits_of(wide, ids[:100])
    block = _core.Model(str(path), isa=wide_tier, activations="block32")
    assert rms_error(logits, exact) < 0.5 * rms_error(logits_of(block, ids[:100]), exact)
    np.testing.assert_array_equal(logits_of(wide, ids[:100], [33, 1, 16, 17, 33]), logits)
    decoded = logits_of(wide, ids[:48], [16, 1, 15, 16], decode=True)
    np.testing.assert_array_equal(decoded, logits_of(block, ids[:48]))
    np.testing.assert_array_equal(
        logits_of(_core.Model(str(path), isa=wide_tier, threads=3), ids[:100]), logits
    )
    parts = [ids[:40], ids[40:57], ids[3:80]]
    together = wide.forward([(wide.new_sequence(), part) for part in parts], logits="all")
    for part, other in zip(parts, together, strict=True):
        np.testing.assert_array_equal(logits_of(wide, part), other)


def test_eight_bit_weights_keep_what_they_have(wide_tier: str, model_file: ModelFile) -> None:
    """A slab's scale would cost more than the rounding of the weights did."""
    forms = {choice["form"] for choice in choices_of(model_file("bloom", "q8_0"), wide_tier)}
    if (wide_tier, "q8_0") in LEFT_TO_BLOCK32:
        assert not forms, "there is nothing to choose, so nothing is measured"
    else:
        assert forms == {finer_form(wide_tier)}


def test_each_type_of_a_file_is_described_by_its_own_forms(
    wide_tier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = random_llama()
    down = model.tensors.pop("blk.0.ffn_down.weight")
    kind = GGMLQuantizationType.Q8_0
    model.raw["blk.0.ffn_down.weight"] = (kind, quantize(down, kind))
    monkeypatch.setenv("BELLE_ISA", wide_tier)
    lines = list(measured_lines(model.write(tmp_path / "mixed.gguf", "q4_0")))
    for type in ("q4_0", "q8_0"):
        (line,) = (line for line in lines if f"ffn_down.weight {type}" in line)
        expected = ["block32"] if (wide_tier, type) in LEFT_TO_BLOCK32 else forms_of(wide_tier)
        assert re.findall(r"(block32|slab256|bf16) [0-9.]+", line.split("weights")[1]) == expected


def test_a_given_form_is_not_measured(wide_tier: str, form: str, model_file: ModelFile) -> None:
    assert (
        _core.Model(str(model_file("llama", "q4_0")), isa=wide_tier, activations=form).activation_forms == []
    )


def test_the_environment_names_the_form(
    wide_tier: str, form: str, model_file: ModelFile, ids: Ids, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(model_file("bloom", "q4_0"))
    given = logits_of(_core.Model(path, isa=wide_tier, activations=form), ids[:40])
    monkeypatch.setenv("BELLE_ACTIVATIONS", form)
    np.testing.assert_array_equal(logits_of(_core.Model(path, isa=wide_tier), ids[:40]), given)


def test_an_unknown_form_is_an_error_that_lists_the_choices(tier: str, model_file: ModelFile) -> None:
    path = str(model_file("llama", "q4_0"))
    with pytest.raises(ValueError, match=r"activations='int3'.*auto, block32"):
        _core.Model(path, isa=tier, activations="int3")
    if "slab256" not in forms_of(tier):
        with pytest.raises(ValueError, match=f"slab256.*{tier}"):
            _core.Model(path, isa=tier, activations="slab256")

"""Adapters that are damaged, of another kind, or made for another model: errors that name what does not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from belle_edge.convert import convert
from belle_edge.errors import ConversionError

from .adapters import changed, llama_modules, load_state, random_factors, write_adapter, write_config

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("torch")]
QUERY = "model.layers.0.self_attn.q_proj"
PREFIX = f"base_model.model.{QUERY}"


@pytest.fixture
def base(make_llama: Any) -> Path:
    folder: Path = make_llama()
    return folder


def refused(base: Path, lora: Any, message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        convert(base, dry_run=True, lora=lora)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"peft_type": "IA3"}, "expected LORA, got 'IA3'"),
        ({"peft_type": "PROMPT_TUNING"}, "PROMPT_TUNING"),
        ({"peft_type": "LOHA"}, "LOHA"),
        ({"use_dora": True}, "use_dora: DoRA is not read here"),
        ({"layer_replication": [[0, 2], [1, 2]]}, "layer replication"),
        ({"trainable_token_indices": [3]}, "trainable tokens"),
        ({"target_parameters": ["weight"]}, "bare parameters"),
        ({"alora_invocation_tokens": [3]}, "activated LoRA"),
        ({"lora_bias": True}, "lora_bias"),
        ({"init_lora_weights": "pissa_niter_4"}, "changes the base model before training"),
        ({"init_lora_weights": "loftq"}, "changes the base model before training"),
        ({"enable_lora": [True, True, True]}, "two parts true"),
        ({"enable_lora": [True]}, "two parts true"),
        ({"r": 0}, "r: expected a positive integer, got 0"),
        ({"r": "8"}, "r: expected a positive integer, got '8'"),
        ({"lora_alpha": float("nan")}, "damaged JSON: NaN is no JSON value"),
        ({"lora_alpha": -1}, "lora_alpha: expected a positive number"),
        ({"rank_pattern": {"q_proj": -1}}, "rank_pattern q_proj"),
        ({"rank_pattern": [1]}, "rank_pattern: expected an object"),
        ({"rank_pattern": {"(": 4}}, "not a regular expression"),
        ({"modules_to_save": [1]}, "modules_to_save"),
        ({"r": 5}, r"lora_A\.weight: expected shape \[5, 64\] .* got \[4, 64\]"),
    ],
)
def test_settings(base: Path, tmp_path: Path, config: Any, message: str) -> None:
    adapter = write_adapter(tmp_path / "lora", random_factors(base, [QUERY]), **config)
    refused(base, [adapter], rf"^\[lora/adapter_.*{message}")


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("base_model.model.model.layers.7.self_attn.q_proj.lora_A.weight", (4, 64), "lora_B is missing"),
        ("base_model.model.model.layers.7.self_attn.q_proj.lora_B.weight", (64, 4), "lora_A is missing"),
        (f"{PREFIX}.lora_A.other.weight", (4, 64), "is there for this module already"),
        (f"{PREFIX}.lora_magnitude_vector", (64,), "DoRA"),
        (f"{PREFIX}.lora_B.bias", (64,), "a bias inside the adapter"),
        (f"{PREFIX}.hada_w1_a", (4, 64), "LoHa"),
        (f"{PREFIX}.ia3_l", (64, 1), "IA3"),
        (f"{PREFIX}.bias", (64,), "the base has no layers.0.self_attn.q_proj.bias"),
        ("prompt_embeddings", (8, 64), "prompt tuning"),
        (
            "base_model.model.model.layers.7.mlp.up_proj.weight",
            (96, 64),
            "the base has no layers.7.mlp.up_proj",
        ),
        ("base_model.model.score.weight", (2, 64), "the base has no score.weight; .* made for someone/base"),
        ("base_model.model.model.norm.weight", (65,), r"expected shape \[64\], got \[65\]"),
        ("base_model.model.lm_head.weight", (400, 63), r"expected shape \[400, 64\], got \[400, 63\]"),
    ],
)
def test_tensors(base: Path, tmp_path: Path, name: str, shape: tuple[int, ...], message: str) -> None:
    import torch

    pairs = random_factors(base, [QUERY])
    adapter = write_adapter(tmp_path / "lora", pairs, others={name: torch.zeros(shape)})
    refused(base, [adapter], rf"^\[lora/adapter_model\.safetensors\] .*{message}")


def test_pairs_that_do_not_fit(base: Path, tmp_path: Path) -> None:
    import torch

    factors = {
        "model.layers.9.self_attn.q_proj": (
            (4, 64),
            (64, 4),
            r"lora_A\.weight: the base has no model\.layers\.9",
        ),
        "model.layers.0.mlp.up_proj": (
            (4, 64),
            (95, 4),
            r"lora_B\.weight: expected shape \[96, 4\] .* got \[95, 4\]",
        ),
        "model.layers.0.mlp.down_proj": (
            (4, 64),
            (96, 4),
            r"lora_A\.weight: expected shape \[4, 96\] .*\[4, 64\]",
        ),
        "model.layers.0.input_layernorm": ((4, 64), (64, 4), "input_layernorm"),
    }
    for module, (a, b, message) in factors.items():
        adapter = write_adapter(tmp_path / "lora", {module: (torch.ones(a), torch.ones(b))})
        refused(base, [adapter], message)


def test_fan_in_fan_out_that_cannot_be_decided(base: Path, tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "square", random_factors(base, [QUERY]), fan_in_fan_out=True)
    refused(base, [adapter], "every matrix is square")
    pairs = random_factors(base, llama_modules(base, ("mlp.up_proj",)))
    (first, (a, b)), *_ = pairs.items()
    mixed = write_adapter(tmp_path / "mixed", {**pairs, first: (b.T, a.T)}, fan_in_fan_out=True)
    refused(base, [mixed], "others only transposed")
    without = write_adapter(tmp_path / "without", {first: (b.T, a.T)})
    refused(base, [without], "expected shape")


def test_values(base: Path, tmp_path: Path) -> None:
    import torch

    a, b = random_factors(base, [QUERY])[QUERY]
    b[3, 1] = float("nan")
    adapter = write_adapter(tmp_path / "lora", {QUERY: (a, b)})
    with pytest.raises(ConversionError, match=r"q_proj\.lora_B\.weight: expected finite values"):
        convert(base, tmp_path / "out.gguf", lora=[adapter])
    integers = write_adapter(tmp_path / "integers", {QUERY: (a.to(torch.int8), b)})
    refused(base, [integers], r"lora_A\.weight: stored as i8")


def test_base_in_integers(base: Path, tmp_path: Path) -> None:
    import torch

    weight = load_state(base)[f"{QUERY}.weight"]
    quantized = changed(base, tmp_path / "int8", {f"{QUERY}.weight": weight.to(torch.int8)})
    adapter = write_adapter(tmp_path / "lora", random_factors(base, [QUERY]))
    refused(quantized, [adapter], rf"\[model\.safetensors\] {QUERY}\.weight: stored as i8")


def test_whole_tensors_of_several_adapters(base: Path, tmp_path: Path) -> None:
    import torch

    pairs, others = random_factors(base, [QUERY]), {"base_model.model.lm_head.weight": torch.ones(400, 64)}
    one = write_adapter(tmp_path / "one", pairs, others=others)
    two = write_adapter(tmp_path / "two", pairs, others=others)
    refused(base, [one, two], r"\[two/adapter_model.*lm_head\.weight: one replaces lm_head\.weight already")
    refused(base, [(one, 0.5)], r"lm_head\.weight: .* weight must be 1, got 0\.5")


def test_files(base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "lora"
    refused(base, [folder], "no such folder")
    folder.mkdir()
    refused(base, [folder], r"\[lora\] expected LoRA weights, got neither adapter_model\.safetensors")
    write_adapter(folder, {}, file="adapter_model.bin")
    refused(base, [folder], r"expected LoRA weights, got adapter_model\.bin without any")
    write_adapter(folder, random_factors(base, [QUERY]))
    (folder / "adapter_config.json").unlink()
    refused(base, [folder], r"\[lora\] no adapter_config\.json")
    (folder / "adapter_config.json").write_text("[]")
    refused(base, [folder], r"\[lora/adapter_config\.json\] expected a JSON object")
    write_config(folder)
    path = folder / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    refused(base, [folder], r"\[lora/adapter_model\.safetensors\].*cut off")
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 123\n")
    refused(base, [folder], "Git LFS pointer")


LORA = [[3], [("a", "b")], [("a", float("inf"))], [("a", 10**400)], [("a", 1e300)], [("a", True)], ("a", 0.5)]


@pytest.mark.parametrize("lora", LORA, ids=range(len(LORA)))
def test_arguments(base: Path, lora: Any) -> None:
    refused(base, lora, r"\[lora\] expected a folder or \(folder, weight\), got|no such folder")


@pytest.mark.parametrize("with_config", [False, True])
def test_adapter_in_place_of_a_model(
    base: Path, tmp_path: Path, edit_json: Callable[..., None], with_config: bool
) -> None:
    adapter = write_adapter(tmp_path / "my-lora", random_factors(base, [QUERY]))
    if with_config:
        edit_json(adapter / "config.json", architectures=["LlamaForCausalLM"])
    with pytest.raises(ConversionError, match=r"a LoRA adapter; .*belle-edge convert BASE --lora my-lora"):
        convert(adapter, tmp_path / "out.gguf")

"""LoRA adapters merged while a model is converted, compared with weights that torch merges by itself."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from belle_edge.convert import ConversionReport

from .adapters import (
    changed,
    llama_modules,
    load_state,
    metadata_of,
    random_factors,
    with_deltas,
    write_adapter,
)
from .logits import native_logits, relative_error, transformers_logits

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("torch")]
IDS = list(range(5, 60))
Q = "self_attn.q_proj"
Check = Callable[..., ConversionReport]


def test_llama(checkpoint: Callable[[str], Path], tmp_path: Path, check_merged: Check) -> None:
    """All seven projections of a model with grouped queries."""
    base = checkpoint("llama")
    pairs = random_factors(base, llama_modules(base))
    adapter = write_adapter(tmp_path / "lora", pairs)
    changes = with_deltas(base, pairs, 2.0)
    check_merged(base, adapter, changes)
    merged = changed(base, tmp_path / "merged", changes)
    expected = transformers_logits(merged, IDS)
    assert relative_error(native_logits(tmp_path / "merged.gguf", IDS), expected) < 1e-3
    assert relative_error(transformers_logits(base, IDS), expected) > 0.1


def test_bloom(checkpoint: Callable[[str], Path], tmp_path: Path, check_merged: Check) -> None:
    """The fused matrix, as BELLE's adapters for BLOOM have it, on weights in float16."""
    base = checkpoint("bloom")
    modules = [f"transformer.h.{layer}.self_attention.query_key_value" for layer in range(4)]
    pairs = random_factors(base, modules)
    adapter = write_adapter(tmp_path / "lora", pairs, file="adapter_model.bin")
    changes = with_deltas(base, pairs, 2.0)
    check_merged(base, [adapter], changes)
    expected = transformers_logits(changed(base, tmp_path / "merged", changes), IDS)
    assert relative_error(native_logits(tmp_path / "merged.gguf", IDS), expected) < 1e-3
    assert relative_error(transformers_logits(base, IDS), expected) > 0.1


@pytest.mark.parametrize(
    "names",
    [
        ("base_model.model.{}.lora_A.default.weight", "base_model.model.{}.lora_B.default.weight"),
        ("{}.lora_A.weight", "{}.lora_B.weight"),
        (
            "module.base_model.model.{}.lora_A.my_name.weight",
            "module.base_model.model.{}.lora_B.my_name.weight",
        ),
    ],
)
@pytest.mark.parametrize("bare", [False, True])
def test_names(
    make_llama: Any, tmp_path: Path, check_merged: Check, names: tuple[str, str], bare: bool
) -> None:
    """Also those of an adapter for the model with its head, on one without."""
    base = make_llama(bare=bare, tie_word_embeddings=True)
    stored = llama_modules(base, (Q, "mlp.down_proj"))
    if bare:
        stored = [name.removeprefix("model.") for name in stored]
    pairs = random_factors(base, stored)
    adapted = {f"model.{name.removeprefix('model.')}": pair for name, pair in pairs.items()}
    check_merged(base, write_adapter(tmp_path / "lora", adapted, names=names), with_deltas(base, pairs, 2.0))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_base_and_adapter_in_half_precision(
    make_llama: Any, tmp_path: Path, check_merged: Check, dtype: str
) -> None:
    import torch

    base = make_llama(dtype=dtype)
    drawn = random_factors(base, llama_modules(base))
    half = {name: tuple(it.to(getattr(torch, dtype)) for it in pair) for name, pair in drawn.items()}
    pairs = {name: (a.float(), b.float()) for name, (a, b) in half.items()}
    check_merged(base, write_adapter(tmp_path / "lora", half), with_deltas(base, pairs, 2.0))


@pytest.mark.parametrize(
    ("config", "scale"),
    [
        ({"r": 4, "lora_alpha": 6}, 1.5),
        ({"r": 4, "lora_alpha": 6, "use_rslora": True}, 3.0),
        ({"lora_alpha": None}, 2.0),
    ],
)
def test_scale(make_llama: Any, tmp_path: Path, check_merged: Check, config: Any, scale: float) -> None:
    base = make_llama()
    pairs = random_factors(base, llama_modules(base))
    check_merged(base, write_adapter(tmp_path / "lora", pairs, **config), with_deltas(base, pairs, scale))


def test_patterns(make_llama: Any, tmp_path: Path, check_merged: Check) -> None:
    """Ranks and alphas of single modules; patterns match the end of a path."""
    base = make_llama()
    wide = "model.layers.1.self_attn.v_proj"
    pairs = random_factors(base, llama_modules(base)) | random_factors(base, [wide], rank=6, seed=1)
    config = {
        "rank_pattern": {"layers.1.self_attn.v_proj": 6},
        "alpha_pattern": {"down_proj": 2, r"layers\.0\..*proj": 12, "l_proj": 99},
    }
    adapter = write_adapter(tmp_path / "lora", pairs, **config)
    changes = with_deltas(base, pairs, 2.0) | with_deltas(base, {wide: pairs[wide]}, 8 / 6)
    for name, scale in (("layers.0.", 3.0), ("down_proj", 0.5)):
        changes |= with_deltas(base, {module: it for module, it in pairs.items() if name in module}, scale)
    check_merged(base, adapter, changes)


def test_several_adapters_with_weights(make_llama: Any, tmp_path: Path, check_merged: Check) -> None:
    """They overlap in part; each has its own scale, rank and weight."""
    base = make_llama()
    first = random_factors(base, llama_modules(base, (Q, "mlp.up_proj")))
    second = random_factors(base, llama_modules(base, (Q, "self_attn.o_proj")), rank=2, seed=1)
    lora = (
        write_adapter(tmp_path / "one" / "lora", first),
        (write_adapter(tmp_path / "two" / "lora", second, r=2, lora_alpha=3), -0.5),
    )
    state = load_state(base)
    changes = with_deltas(base, first, 2.0)
    for name, (a, b) in second.items():
        key = f"{name}.weight"
        changes[key] = changes.get(key, state[key]) - 0.75 * (b @ a)
    check_merged(base, lora, changes)
    metadata = metadata_of(tmp_path / "merged.gguf")
    assert metadata["belle.source.lora.count"] == 2
    assert metadata["belle.source.lora.0.name"] == "lora"
    assert metadata["belle.source.lora.0.weight"] == 1.0
    assert metadata["belle.source.lora.1.name"] == "lora#2"
    assert metadata["belle.source.lora.1.weight"] == -0.5
    assert metadata["belle.source.lora.1.base_model"] == "someone/base"
    data = (tmp_path / "two" / "lora" / "adapter_model.safetensors").read_bytes()
    assert metadata["belle.source.lora.1.sha256"] == hashlib.sha256(data).hexdigest()


def embedding_adapter(base: Path, folder: Path, module: str, names: tuple[str, str]) -> tuple[Path, Any]:
    """(adapter of an embedding [vocab, hidden] with A [r, vocab] and B [hidden, r], W + ΔW)."""
    weight = load_state(base)[f"{module}.weight"]
    (b, a) = random_factors(base, [module])[module]  # of the transposed shapes
    adapter = write_adapter(folder, {module: (a.T, b.T)}, names=names)
    return adapter, weight + 2.0 * (b.T @ a.T).T


@pytest.mark.parametrize("suffix", ["", ".default"])
@pytest.mark.parametrize("architecture", ["llama", "llama-tied", "bloom"])
def test_embeddings(
    make_llama: Any, make_bloom: Any, tmp_path: Path, check_merged: Check, architecture: str, suffix: str
) -> None:
    """Where head and embedding are tied, both change, also if the checkpoint stores them twice."""
    base = make_bloom() if architecture == "bloom" else make_llama(tie_word_embeddings="tied" in architecture)
    module = "transformer.word_embeddings" if architecture == "bloom" else "model.embed_tokens"
    names = tuple(f"base_model.model.{{}}.lora_embedding_{side}{suffix}" for side in "AB")
    adapter, merged = embedding_adapter(base, tmp_path / "lora", module, (names[0], names[1]))
    report = check_merged(base, adapter, {f"{module}.weight": merged})
    assert any("changes both" in warning for warning in report.warnings) == (architecture != "llama")
    if architecture != "llama":
        twice = changed(base, tmp_path / "twice", {"lm_head.weight": load_state(base)[f"{module}.weight"]})
        report = check_merged(twice, adapter, {f"{module}.weight": merged, "lm_head.weight": merged})
        assert not any("differs" in warning for warning in report.warnings)


def test_frozen_copy_beside_a_lora(make_llama: Any, tmp_path: Path, check_merged: Check) -> None:
    """PEFT saves the embedding under a LoRA of it; such a copy replaces nothing, so any weight will do."""
    base = make_llama()
    weight = load_state(base)["model.embed_tokens.weight"]
    (b, a) = random_factors(base, ["model.embed_tokens"])["model.embed_tokens"]
    tensors = {"lora_embedding_A": a.T, "lora_embedding_B": b.T, "base_layer.weight": weight}
    others = {f"base_model.model.model.embed_tokens.{name}": tensor for name, tensor in tensors.items()}
    adapter = write_adapter(tmp_path / "lora", {}, others=others)
    check_merged(base, [(adapter, 0.5)], {"model.embed_tokens.weight": weight + a @ b})


@pytest.mark.parametrize("tied", [False, True])
def test_head(make_llama: Any, tmp_path: Path, check_merged: Check, tied: bool) -> None:
    """The adapter of a tied head unties it: the embedding stays as it was."""
    base = make_llama(tie_word_embeddings=tied)
    source = "model.embed_tokens" if tied else "lm_head"
    ((a, b),) = random_factors(base, [source]).values()
    adapter = write_adapter(tmp_path / "lora", {"lm_head": (a, b)})
    head = load_state(base)[f"{source}.weight"] + 2.0 * (b @ a)
    report = check_merged(base, adapter, {"lm_head.weight": head}, tie_word_embeddings=False)
    assert any("two matrices" in warning for warning in report.warnings) == tied


@pytest.mark.parametrize("name", ["base_model.model.{}.weight", "{}.modules_to_save.default.weight"])
def test_modules_to_save(make_llama: Any, tmp_path: Path, check_merged: Check, name: str) -> None:
    import torch

    base = make_llama()
    pairs = random_factors(base, llama_modules(base, (Q,)))
    replaced = {module: torch.randn(400, 64) for module in ("lm_head", "model.embed_tokens")}
    others = {name.format(module): tensor for module, tensor in replaced.items()}
    others["base_model.model.lm_head.original_module.weight"] = torch.zeros(400, 64)
    adapter = write_adapter(
        tmp_path / "lora", pairs, others=others, modules_to_save=["lm_head", "embed_tokens"]
    )
    changes = {f"{module}.weight": tensor for module, tensor in replaced.items()}
    report = check_merged(base, adapter, with_deltas(base, pairs, 2.0) | changes)
    assert not any("replace" in warning for warning in report.warnings)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("tokenizer", [False, True])
def test_extended_vocabulary(
    make_llama: Any, tmp_path: Path, check_merged: Check, llama_tokenizer: bytes, tied: bool, tokenizer: bool
) -> None:
    """The saved matrices have more rows; the new tokens are those of the adapter's own tokenizer."""
    import torch

    base = make_llama(tie_word_embeddings=tied)
    pairs = random_factors(base, llama_modules(base, (Q,)))
    embedding = torch.randn(403, 64)
    head = embedding if tied else torch.randn(403, 64)
    saved = {"model.embed_tokens.weight": embedding, "lm_head.weight": head}
    others = {f"base_model.model.{name}": tensor.clone() for name, tensor in saved.items()}
    adapter = write_adapter(
        tmp_path / "lora", pairs, others=others, modules_to_save=["embed_tokens", "lm_head"]
    )
    if tokenizer:
        (adapter / "tokenizer.model").write_bytes(llama_tokenizer)
        (adapter / "added_tokens.json").write_text('{"<one>": 400, "<two>": 401, "<three>": 402}')
    report = check_merged(base, adapter, with_deltas(base, pairs, 2.0) | saved)
    assert report.n_padding_tokens == (0 if tokenizer else 3)
    assert any("brings no tokenizer" in warning for warning in report.warnings) == (not tokenizer)


@pytest.mark.parametrize("bias", ["lora_only", "all", "none"])
def test_biases(make_llama: Any, tmp_path: Path, check_merged: Check, bias: str) -> None:
    """Trained biases replace the base's. Those that the settings do not speak of do as well, with a word about it."""
    import torch

    base = make_llama(attention_bias=True)
    pairs = random_factors(base, llama_modules(base, (Q,)))
    biases = {f"{module}.bias": torch.randn(64) for module in pairs}
    others = {f"base_model.model.{name}": tensor for name, tensor in biases.items()}
    adapter = write_adapter(tmp_path / "lora", pairs, others=others, bias=bias)
    report = check_merged(base, adapter, with_deltas(base, pairs, 2.0) | biases)
    assert any("2 whole tensors" in warning for warning in report.warnings) == (bias == "none")


@pytest.mark.parametrize("turned", [False, True])
def test_fan_in_fan_out(make_llama: Any, tmp_path: Path, check_merged: Check, turned: bool) -> None:
    """The matrices that are not square show which way round all of them lie."""
    base = make_llama()
    pairs = random_factors(base, llama_modules(base))
    stored = {name: (b.T, a.T) if turned else (a, b) for name, (a, b) in pairs.items()}
    adapter = write_adapter(tmp_path / "lora", stored, fan_in_fan_out=True)
    report = check_merged(base, adapter, with_deltas(base, pairs, 2.0))
    assert any("no effect on linear layers" in warning for warning in report.warnings) == (not turned)


@pytest.mark.parametrize("enabled", [[True, False, True], [True, True, False]])
def test_merged_linear(make_bloom: Any, tmp_path: Path, check_merged: Check, enabled: list[bool]) -> None:
    """PEFT up to 0.2: a LoRA for some thirds of a fused matrix, B as the weight of a grouped convolution."""
    import torch

    base, rank = make_bloom(), 4
    state, stored, changes = load_state(base), {}, {}
    for layer in range(2):
        module = f"transformer.h.{layer}.self_attention.query_key_value"
        weight = state[f"{module}.weight"]
        a, b = torch.randn(2 * rank, 96) * 0.1, torch.randn(2 * 96, rank, 1) * 0.5
        stored[module] = (a, b)
        delta = torch.nn.functional.conv1d(a.unsqueeze(0), b, groups=2).squeeze(0)
        thirds = iter(delta.chunk(2))
        padded = torch.cat([next(thirds) if on else torch.zeros(96, 96) for on in enabled])
        changes[f"{module}.weight"] = weight + 2.0 * padded
    check_merged(base, write_adapter(tmp_path / "lora", stored, enable_lora=enabled), changes)

"""Every tier's logits against transformers in float32, on random models of odd shapes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from belle_edge import _core
from belle_edge.convert import convert

from .random_checkpoints import Variant, reference_logits, relative_error, save_checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("torch")]

FOUR_HEADS_OF_10 = {"num_attention_heads": 4, "hidden_size": 40, "intermediate_size": 172}
VARIANTS = [
    # BLOOM: ALiBi's slopes for numbers of heads that are no power of two, widths that no block divides.
    Variant("bloom-1-head", "bloom", {"n_head": 1, "hidden_size": 48}),
    Variant("bloom-3-heads", "bloom", {"n_head": 3, "hidden_size": 96}),
    Variant("bloom-5-heads", "bloom", {"n_head": 5, "hidden_size": 60}),
    Variant("bloom-6-heads", "bloom", {"n_head": 6, "hidden_size": 66, "vocab_size": 301}),
    Variant("bloom-12-heads", "bloom", {"n_head": 12, "hidden_size": 96}),
    Variant("bloom-odd-width", "bloom", {"n_head": 3, "hidden_size": 51, "vocab_size": 333}),
    Variant("bloom-untied", "bloom", {"n_head": 6, "hidden_size": 96, "tie_word_embeddings": False}),
    Variant("bloom-eps", "bloom", {"layer_norm_epsilon": 1e-3, "n_layer": 3}),
    Variant("bloom-exact-vocab", "bloom", {"vocab_size": 260}),
    Variant("bloom-f16", "bloom", {}, "float16", "f16"),
    Variant("bloom-bf16", "bloom", {}, "bfloat16", "bf16"),
    # LLaMA
    Variant("llama-plain", "llama"),
    Variant("llama-gqa", "llama", {"num_attention_heads": 8, "num_key_value_heads": 2}),
    Variant("llama-mqa", "llama", {"num_attention_heads": 4, "num_key_value_heads": 1}),
    Variant("llama-wide-heads", "llama", {"head_dim": 24, "num_key_value_heads": 2}),
    Variant("llama-narrow-heads", "llama", {"head_dim": 6}),
    Variant(
        "llama-odd-heads", "llama", {"num_attention_heads": 5, "num_key_value_heads": 5, "hidden_size": 60}
    ),
    Variant("llama-9-of-3", "llama", {"num_attention_heads": 9, "num_key_value_heads": 3, "hidden_size": 72}),
    Variant("llama-tied", "llama", {"tie_word_embeddings": True}),
    Variant("llama-theta", "llama", {"rope_theta": 500000.0}),
    Variant("llama-linear-rope", "llama", {"rope_scaling": {"rope_type": "linear", "factor": 4.0}}),
    Variant("llama-biases", "llama", {"attention_bias": True, "mlp_bias": True, "num_key_value_heads": 2}),
    Variant("llama-odd-ffn", "llama", {"intermediate_size": 173}),
    Variant("llama-narrow", "llama", FOUR_HEADS_OF_10 | {"num_key_value_heads": 2}),
    Variant("llama-odd-vocab", "llama", {"vocab_size": 301}),
    Variant("llama-many-spare-rows", "llama", {"vocab_size": 777, "tie_word_embeddings": True}),
    Variant("llama-eps", "llama", {"rms_norm_eps": 1e-6, "num_hidden_layers": 3}),
    Variant("llama-f16", "llama", {}, "float16", "f16"),
    Variant("llama-bf16", "llama", {}, "bfloat16", "bf16"),
]


@dataclass(frozen=True)
class Case:
    variant: Variant
    path: Path
    ids: NDArray[np.int32]
    reference: NDArray[np.float32]  # [n_tokens, n_vocab]


@pytest.fixture(scope="module", params=VARIANTS, ids=lambda variant: variant.name)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    variant: Variant = request.param
    folder = tmp_path_factory.mktemp(variant.name)
    save_checkpoint(variant, folder / "checkpoint")
    path = folder / "model.gguf"
    convert(folder / "checkpoint", path, type=variant.type)
    # 77 tokens cross two borders of KV pages; the last rows have no token of their own.
    ids = np.random.default_rng(7).integers(0, 260, size=77, dtype=np.int32)
    ids[-1] = variant.settings.get("vocab_size", 320) - 1
    return Case(variant, path, ids, reference_logits(folder / "checkpoint", ids))


def test_logits_equal_those_of_transformers(tier: str, case: Case) -> None:
    model = _core.Model(str(case.path), isa=tier)
    assert model.isa == tier
    assert model.kv_type == "f32"
    assert model.config["vocab_size"] == case.reference.shape[1]
    (logits,) = model.forward([(model.new_sequence(), case.ids)], logits="all")
    assert logits.dtype == np.float32
    assert logits.shape == case.reference.shape
    assert relative_error(logits, case.reference) < 2e-5  # the contract is 1e-3


def test_half_precision_kv_stays_close(case: Case) -> None:
    model = _core.Model(str(case.path), threads=1, kv_type="f16")
    assert model.kv_type == "f16"
    (logits,) = model.forward([(model.new_sequence(), case.ids)], logits="all")
    assert relative_error(logits, case.reference) < 5e-3


def test_a_random_model_is_not_trivial(case: Case) -> None:
    """Guards the tests above: attention must matter, and positions must differ."""
    model = _core.Model(str(case.path))
    alone = model.forward([(model.new_sequence(), case.ids[-1:])])[0][0]
    assert relative_error(alone, case.reference[-1]) > 0.05

"""Metadata of a wrong type or size: refused in one line that names the key, or harmless."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from belle_edge._core import Model
from belle_edge.errors import ModelFormatError

from ..gguf.checksummed import with_checksums
from ..model.gguf_models import GgufModel
from .outcomes import outcomes_of_files
from .small_models import complete_model

pytestmark = pytest.mark.slow
WRONG: dict[str, Any] = {
    "text": "text",
    "empty_text": "",
    "zero": 0,
    "huge": 0xFFFFFFFE,
    "fraction": 0.5,
    "nan": float("nan"),
    "infinity": float("inf"),
    "numbers": [1, 2, 3],
    "fractions": [0.5],
    "texts": ["a", "b"],
}
OPTIONAL = ["belle.family", "belle.stop_strings", "belle.sampling.temperature", "belle.sampling.top_k"]
OPTIONAL += ["general.license", "general.license.name", "general.alignment", "tokenizer.huggingface.json"]


def with_value(architecture: str, key: str, value: Any) -> GgufModel:
    model = complete_model(architecture)
    prefix = f"{architecture}."
    if key.startswith(prefix):
        model.metadata[key.removeprefix(prefix)] = value
    else:
        model.extra[key] = value
    return model


def keys_of(architecture: str) -> list[str]:
    model = complete_model(architecture)
    optional = ["rope.scaling.type", "rope.scaling.factor", "rope.scale_linear", "expert_count"]
    optional += ["attention.key_length", "attention.value_length"]
    own = [
        f"{architecture}.{key}" for key in (*model.metadata, *(optional if architecture == "llama" else ()))
    ]
    return [*own, *model.extra, *OPTIONAL]


@pytest.mark.parametrize("architecture", ["llama", "bloom"])
def test_values_of_a_wrong_kind(tmp_path: Path, architecture: str) -> None:
    """Every key that anything reads, with ten values that it should not have."""
    pytest.importorskip("resource", reason="memory limits need POSIX")
    for key in keys_of(architecture):
        for name, value in WRONG.items():
            path = with_value(architecture, key, value).write(tmp_path / f"{key}={name}.gguf", "q4_0")
            if key.startswith("belle."):  # only files with checksums have such keys
                with_checksums(path)
    outcomes = outcomes_of_files(sorted(tmp_path.glob("*.gguf")))
    refused = {(file, command) for file, command, outcome in outcomes if outcome != "runs"}
    for key in ("tokenizer.ggml.tokens", f"{architecture}.block_count", f"{architecture}.embedding_length"):
        assert {(f"{key}={name}.gguf", "generate") for name in WRONG} <= refused
    assert not [
        line for _, _, line in outcomes if "belle.checksum" in line or "not match its checksum" in line
    ]
    assert len(outcomes) == 2 * len(keys_of(architecture)) * len(WRONG)


ABSURD: dict[str, tuple[str, Any]] = {
    "tiny_epsilon": ("llama.attention.layer_norm_rms_epsilon", 1e-40),
    "infinite_base": ("llama.rope.freq_base", float("inf")),
    "tiny_base": ("llama.rope.freq_base", 1e-30),
    "infinite_factor": ("llama.rope.scaling.factor", float("inf")),
    "tiny_factor": ("llama.rope.scaling.factor", 1e-30),
    "context_of_billions": ("llama.context_length", 4_000_000_000),
    "kv_heads_of_millions": ("llama.attention.head_count_kv", 1 << 23),
    "wide_heads": ("llama.attention.key_length", 1 << 24),
    "wide_feed_forward": ("llama.feed_forward_length", 1 << 24),
}


@pytest.mark.parametrize("name", ABSURD)
def test_absurd_numbers_are_named(tmp_path: Path, name: str) -> None:
    key, value = ABSURD[name]
    path = with_value("llama", key, value).write(tmp_path / "absurd.gguf")
    with pytest.raises(ModelFormatError) as caught:
        Model(str(path))
    message = str(caught.value)
    assert "absurd.gguf" in message
    assert key in message or "expected shape" in message  # a size that contradicts the tensors

"""The bundled checkpoint: small, complete, and right about what `belle-edge demo` asks it."""

from __future__ import annotations

import json
from pathlib import Path

from belle_edge import Belle
from belle_edge.convert import convert
from belle_edge.demo import checkpoint_path
from belle_edge.demo.questions import DEMO_QUESTIONS

MAX_CHECKPOINT_BYTES = 12 * 1000 * 1000
CHECKPOINT_FILES = {
    "README.md",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
}


def test_the_checkpoint_is_small_and_complete() -> None:
    files = [path for path in checkpoint_path().rglob("*") if path.is_file()]
    assert {path.name for path in files} == CHECKPOINT_FILES
    assert sum(path.stat().st_size for path in files) <= MAX_CHECKPOINT_BYTES


def test_the_checkpoint_declares_what_converters_need() -> None:
    config = _json("config.json")
    assert config["architectures"] == ["BloomForCausalLM"]
    assert config["hidden_size"] % 32 == 0
    assert config["vocab_size"] % 32 == 0
    assert config["hidden_size"] // config["n_head"] % 8 == 0
    special = _json("tokenizer_config.json")
    assert [special[f"{name}_token"] for name in ("unk", "bos", "eos", "pad")] == [
        "<unk>",
        "<s>",
        "</s>",
        "<pad>",
    ]
    assert "chat_template" not in special


def test_showcase_questions_are_answered_right(tmp_path: Path) -> None:
    """What `belle-edge demo` shows first."""
    path = tmp_path / "demo.gguf"
    convert(checkpoint_path(), path, type="q4_0", family="belle")
    with Belle.load(path) as model:
        for question, answer in DEMO_QUESTIONS:
            assert str(model.generate(question, temperature=0, max_tokens=40)) == answer


def _json(name: str) -> dict:
    return json.loads(Path(checkpoint_path() / name).read_text(encoding="utf-8"))

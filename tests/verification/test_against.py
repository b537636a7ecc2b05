"""A file against its source: sound ones pass whatever their type, and each way of being wrong is found and named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from belle_edge._core import GgufFile
from belle_edge.convert.architectures.bloom import qkv_row_order
from belle_edge.verification import ContentReport, verify_contents

from ..memory_watch import run_watched

Changed = Callable[..., Path]
CheckpointOf = Callable[[str], Path]
TYPES = ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1")


def wrong_tensors(report: ContentReport) -> set[str]:
    assert report.comparison is not None
    return {tensor.name for tensor in report.comparison.tensors if not tensor.ok}


@pytest.mark.slow
@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize("kind", ["bloom", "llama"])
def test_sound_files(kind: str, type: str, checkpoint: CheckpointOf, converted: Any) -> None:
    path = converted(kind, type)
    report = verify_contents(path, against=checkpoint(kind), threads=2)
    assert report.ok, report.problems
    assert report.comparison is not None
    assert [tensor.name for tensor in report.comparison.tensors] == [
        tensor.name for tensor in GgufFile(str(path)).tensors()
    ]
    for tensor in report.comparison.tensors:
        assert tensor.share_of_limit is not None
        assert tensor.share_of_limit <= 1
    assert report.round_trip is not None
    assert all(sample.comes_back and sample.same_ids for sample in report.round_trip)


def test_one_changed_weight(gguf_of_changed: Changed, checkpoint: CheckpointOf) -> None:
    def change(weights: dict[str, Any]) -> None:
        weights["transformer.h.2.mlp.dense_h_to_4h.weight"][11, 5] = 2.5

    report = verify_contents(gguf_of_changed("bloom", weights=change), against=checkpoint("bloom"))
    assert wrong_tensors(report) == {"blk.2.ffn_up.weight"}
    (tensor,) = (t for t in report.comparison.tensors if not t.ok)  # type: ignore[union-attr]
    assert tensor.worst_at is not None
    assert tensor.worst_at[0] == 11
    assert tensor.n_beyond <= 32  # its block has another scale, too
    (problem,) = report.problems
    assert problem.startswith("blk.2.ffn_up.weight: ")
    assert "at row 11, column " in problem


@pytest.mark.slow
@pytest.mark.parametrize("type", ["f32", "q4_0"])
def test_a_changed_row_of_a_reordered_matrix(
    gguf_of_changed: Changed, checkpoint: CheckpointOf, type: str
) -> None:
    """The place that is named is the row in the file."""

    def change(weights: dict[str, Any]) -> None:
        weights["transformer.h.0.self_attention.query_key_value.weight"][64, 7] = 3.0

    report = verify_contents(gguf_of_changed("bloom", weights=change, type=type), against=checkpoint("bloom"))
    (tensor,) = (t for t in report.comparison.tensors if not t.ok)  # type: ignore[union-attr]
    row = int(np.flatnonzero(qkv_row_order(8, 32) == 64)[0])
    assert (tensor.name, tensor.worst_at and tensor.worst_at[0]) == ("blk.0.attn_qkv.weight", row)


def test_query_key_value_left_interleaved(gguf_of_changed: Changed, checkpoint: CheckpointOf) -> None:
    order = qkv_row_order(8, 32)

    def change(weights: dict[str, Any]) -> None:
        for name, tensor in weights.items():
            if "query_key_value" in name:
                undone = np.empty_like(tensor)
                undone[order] = tensor  # so that the conversion's own reordering gives the source's order
                weights[name] = undone

    report = verify_contents(gguf_of_changed("bloom", weights=change), against=checkpoint("bloom"))
    parts = ("weight", "bias")
    assert wrong_tensors(report) == {f"blk.{layer}.attn_qkv.{part}" for layer in range(4) for part in parts}


def test_two_swapped_tensors(gguf_of_changed: Changed, checkpoint: CheckpointOf) -> None:
    names = [f"model.layers.1.mlp.{part}_proj.weight" for part in ("gate", "up")]

    def change(weights: dict[str, Any]) -> None:
        weights[names[0]], weights[names[1]] = weights[names[1]], weights[names[0]]

    report = verify_contents(
        gguf_of_changed("llama", weights=change, type="q8_0"), against=checkpoint("llama")
    )
    assert wrong_tensors(report) == {"blk.1.ffn_gate.weight", "blk.1.ffn_up.weight"}
    assert len(report.problems) == 2


def test_the_tokenizer_of_another_model(gguf_of_changed: Changed, checkpoint: CheckpointOf) -> None:
    def change(tokenizer: Any) -> None:
        vocabulary = tokenizer["model"]["vocab"]
        first, second = (next(t for t, i in vocabulary.items() if i == number) for number in (2000, 2001))
        vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
        comma = next(token for token, token_id in vocabulary.items() if token_id == 100)
        vocabulary[comma], vocabulary[first] = vocabulary[first], vocabulary[comma]

    report = verify_contents(gguf_of_changed("bloom", tokenizer=change), against=checkpoint("bloom"))
    assert not wrong_tensors(report)
    text = "\n".join(report.problems)
    assert "tokenizer.json: not the one that the file was made from" in text
    assert "vocabulary: 3 of 2464 tokens differ from the source's, the first is 100" in text


def test_other_ids_for_a_sample_text(gguf_of_changed: Changed, checkpoint: CheckpointOf) -> None:
    def change(tokenizer: Any) -> None:
        del tokenizer["model"]["merges"][:50]

    report = verify_contents(gguf_of_changed("bloom", tokenizer=change), against=checkpoint("bloom"))
    assert "tokenizer: the source cuts the sample text 'Chinese' into other ids" in report.problems


def test_another_architecture(checkpoint: CheckpointOf, converted: Any) -> None:
    report = verify_contents(converted("llama", "q8_0"), against=checkpoint("bloom"))
    assert "general.architecture: expected bloom, got llama" in report.problems
    assert (
        "blk.0.ffn_gate.weight: expected no such tensor from the source, the file has one" in report.problems
    )
    assert "token_embd.weight: expected shape [2464, 256], got [512, 64]" in report.problems


def test_a_family_that_was_given_is_a_note(gguf_of_changed: Changed, checkpoint: CheckpointOf) -> None:
    report = verify_contents(gguf_of_changed("bloom", family="belle-v2"), against=checkpoint("bloom"))
    assert report.ok
    assert report.notes == ["belle.family: expected belle, got belle-v2, as --family said"]


def test_the_report_is_json(checkpoint: CheckpointOf, converted: Any) -> None:
    report = verify_contents(converted("llama", "q4_0"), against=checkpoint("llama")).to_dict()
    assert json.loads(json.dumps(report, allow_nan=False)) == json.loads(json.dumps(report))
    assert list(report) == ["ok", "problems", "notes", "statistics", "round_trip", "against"]
    assert list(report["against"]["tensors"][0]) == [
        "name",
        "type",
        "shape",
        "relative_rms",
        "max_abs_error",
        "share_of_limit",
        "n_beyond",
        "worst_at",
        "expected",
        "found",
        "is_too_far",
        "ok",
    ]
    assert list(report["round_trip"][0]) == ["name", "n_ids", "comes_back", "has_unknown", "same_ids", "ok"]


def test_progress_reaches_the_end(checkpoint: CheckpointOf, converted: Any) -> None:
    steps: list[tuple[str, int, int]] = []
    verify_contents(
        converted("llama", "q4_0"),
        against=checkpoint("llama"),
        progress=lambda stage, done, total: steps.append((stage, done, total)),
    )
    for stage in ("statistics", "comparing"):
        (*_, last) = (step for step in steps if step[0] == stage)
        assert last[1] == last[2] > 0


VERIFICATION = """
import json, sys
from pathlib import Path
from anonymous_memory import AnonymousPeak
from belle_edge.verification import verify_contents
import belle_edge.convert.reading, belle_edge.text.tokenizer, sentencepiece

with AnonymousPeak() as memory:
    report = verify_contents(Path(sys.argv[2]), against=sys.argv[1], threads=2)
assert report.ok, report.problems
print(json.dumps({"growth": memory.growth}))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_memory_is_bounded(tmp_path: Path, checkpoint: CheckpointOf) -> None:
    """An f32 embedding of 390 MB, and query and key of 67 MB each, whose rows are permuted."""
    from belle_edge.convert import convert

    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "tokenizer.model").write_bytes((checkpoint("llama") / "tokenizer.model").read_bytes())
    shapes = {"model.embed_tokens.weight": (24_000, 4096), "model.norm.weight": (4096,)}
    layer = "model.layers.0"
    shapes |= {f"{layer}.self_attn.{part}_proj.weight": (4096, 4096) for part in "qkvo"}
    shapes |= {f"{layer}.mlp.{part}_proj.weight": (64, 4096) for part in ("gate", "up")}
    shapes |= {f"{layer}.mlp.down_proj.weight": (4096, 64)}
    shapes |= {f"{layer}.{part}_layernorm.weight": (4096,) for part in ("input", "post_attention")}
    config = {
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 4096,
        "num_attention_heads": 32,
        "num_hidden_layers": 1,
        "intermediate_size": 64,
        "vocab_size": 24_000,
        "tie_word_embeddings": True,
    }
    (folder / "config.json").write_text(json.dumps(config))
    write_zeros(folder / "model.safetensors", shapes)
    convert(folder, tmp_path / "out.gguf", type="q4_0", family="none")
    result = run_watched(VERIFICATION, str(folder), str(tmp_path / "out.gguf"))
    (tmp_path / "out.gguf").unlink()  # pytest keeps its folders for a while
    assert result["growth"] < 250e6


def write_zeros(path: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    """A safetensors file whose data takes no disk space."""
    header, offset = {}, 0
    for name, shape in shapes.items():
        end = offset + 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + offset)

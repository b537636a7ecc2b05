"""Meta's own files of LLaMA, in one shard and in several, beside the same model in Hugging Face's layout."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from belle_edge import _core
from belle_edge.convert import convert
from belle_edge.errors import ConversionError

# Hugging Face's name of a matrix in a block → Meta's, and the axis along which shards have parts of it.
MATRICES = {
    "self_attn.q_proj": ("attention.wq", 0),
    "self_attn.k_proj": ("attention.wk", 0),
    "self_attn.v_proj": ("attention.wv", 0),
    "self_attn.o_proj": ("attention.wo", 1),
    "mlp.gate_proj": ("feed_forward.w1", 0),
    "mlp.down_proj": ("feed_forward.w2", 1),
    "mlp.up_proj": ("feed_forward.w3", 0),
}
NORMS = {"input_layernorm": "attention_norm", "post_attention_layernorm": "ffn_norm"}


def meta_tensors(folder: Path) -> dict[str, tuple[Any, int | None]]:
    """Meta's name → (tensor, axis of the shards) of a checkpoint in Hugging Face's layout."""
    from safetensors.torch import load_file

    config = json.loads((folder / "config.json").read_text())
    state = load_file(folder / "model.safetensors")
    tensors: dict[str, tuple[Any, int | None]] = {
        "tok_embeddings.weight": (state["model.embed_tokens.weight"], 1),
        "norm.weight": (state["model.norm.weight"], None),
        "output.weight": (state["lm_head.weight"], 0),
    }
    for layer in range(config["num_hidden_layers"]):
        block = f"model.layers.{layer}."
        for hf_name, name in NORMS.items():
            tensors[f"layers.{layer}.{name}.weight"] = (state[f"{block}{hf_name}.weight"], None)
        for hf_name, (name, axis) in MATRICES.items():
            matrix = state[f"{block}{hf_name}.weight"]
            if name in ("attention.wq", "attention.wk"):
                matrix = in_pairs(matrix, config["head_dim"])
            tensors[f"layers.{layer}.{name}.weight"] = (matrix, axis)
    return tensors


def in_pairs(matrix: Any, head_dim: int) -> Any:
    """Rows of Hugging Face's halves (0, d/2, 1, d/2 + 1, …) as neighbours, head by head."""
    import torch

    half = head_dim // 2
    heads = [
        torch.stack([head[i // 2 + half * (i % 2)] for i in range(head_dim)])
        for head in matrix.split(head_dim)
    ]
    return torch.cat(heads)


def write_meta(folder: Path, target: Path, *, shards: int, **params: Any) -> Path:
    """`folder` as Meta would publish it."""
    import torch

    config = json.loads((folder / "config.json").read_text())
    target.mkdir(parents=True)
    tensors = meta_tensors(folder)
    for number in range(shards):
        state = {
            name: (tensor if axis is None else tensor.chunk(shards, dim=axis)[number]).clone()
            for name, (tensor, axis) in tensors.items()
        }
        state["rope.freqs"] = torch.ones(config["head_dim"] // 2)
        torch.save(state, target / f"consolidated.{number:02d}.pth")
    values = {
        "dim": config["hidden_size"],
        "multiple_of": 32,
        "n_heads": config["num_attention_heads"],
        "n_kv_heads": config["num_key_value_heads"],
        "n_layers": config["num_hidden_layers"],
        "norm_eps": config["rms_norm_eps"],
        "vocab_size": -1,
        **params,
    }
    kept = {key: value for key, value in values.items() if value is not None}
    (target / "params.json").write_text(json.dumps(kept))
    shutil.copy(folder / "tokenizer.model", target)
    return target


@pytest.fixture
def stories(stories_copy: Callable[..., Path]) -> Path:
    """Meta's files have a head of their own; this one differs from the embedding."""
    return stories_copy()


def tensor_bytes(path: Path) -> dict[str, bytes]:
    from gguf import GGUFReader

    return {tensor.name: tensor.data.tobytes() for tensor in GGUFReader(path).tensors}


def logits(path: Path, ids: list[int]) -> Any:
    model = _core.Model(str(path))
    return np.array(model.forward([(model.new_sequence(), ids)], logits="all")[0])


@pytest.mark.slow
@pytest.mark.parametrize("shards", [1, 2, 4])
def test_the_same_file_as_from_hugging_faces_layout(stories: Path, tmp_path: Path, shards: int) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    meta = write_meta(stories, tmp_path / "meta", shards=shards)
    convert(stories, tmp_path / "plain.gguf", type="f32")
    report = convert(meta, tmp_path / "meta.gguf", type="f32")
    assert tensor_bytes(tmp_path / "meta.gguf") == tensor_bytes(tmp_path / "plain.gguf")
    assert report.context_length == 4096
    assert any("4096 tokens, taking this for LLaMA 2" in warning for warning in report.warnings)

    ids = list(range(1, 120))
    model = transformers.AutoModelForCausalLM.from_pretrained(stories, dtype=torch.float32)
    with torch.no_grad():
        expected = model(torch.tensor([ids])).logits[0].numpy()
    found = logits(tmp_path / "meta.gguf", ids)
    assert np.linalg.norm(found - expected) / np.linalg.norm(expected) < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(("shards", "dtype"), [(2, "float16"), (2, "bfloat16"), (1, "float16")])
def test_quantized(make_llama: Any, tmp_path: Path, shards: int, dtype: str) -> None:
    folder = make_llama(dtype=dtype)
    meta = write_meta(folder, tmp_path / "meta", shards=shards)
    convert(folder, tmp_path / "plain.gguf")
    convert(meta, tmp_path / "meta.gguf")
    assert tensor_bytes(tmp_path / "meta.gguf") == tensor_bytes(tmp_path / "plain.gguf")


@pytest.mark.slow
def test_vocabulary_split_by_rows(make_llama: Any, tmp_path: Path) -> None:
    import torch

    folder = make_llama()
    meta = write_meta(folder, tmp_path / "meta", shards=2)
    embedding = meta_tensors(folder)["tok_embeddings.weight"][0]
    for number, rows in enumerate(embedding.chunk(2)):
        path = meta / f"consolidated.{number:02d}.pth"
        torch.save({**torch.load(path), "tok_embeddings.weight": rows.clone()}, path)
    convert(folder, tmp_path / "plain.gguf")
    convert(meta, tmp_path / "meta.gguf")
    assert tensor_bytes(tmp_path / "meta.gguf") == tensor_bytes(tmp_path / "plain.gguf")


def test_tokenizer_in_the_folder_above(make_llama: Any, tmp_path: Path) -> None:
    meta = write_meta(make_llama(), tmp_path / "LLaMA" / "7B", shards=1)
    expected = convert(meta, tmp_path / "one.gguf").output_bytes
    (meta / "tokenizer.model").rename(meta.parent / "tokenizer.model")
    convert(meta, tmp_path / "two.gguf")
    assert (tmp_path / "one.gguf").read_bytes() == (tmp_path / "two.gguf").read_bytes()
    assert (tmp_path / "two.gguf").stat().st_size == expected
    (meta.parent / "tokenizer.model").unlink()
    with pytest.raises(ConversionError, match=r"\[7B\] no tokenizer"):
        convert(meta, tmp_path / "three.gguf")


def test_one_shard_stands_for_all_of_them(make_llama: Any, tmp_path: Path) -> None:
    meta = write_meta(make_llama(), tmp_path / "meta", shards=2)
    convert(meta, tmp_path / "one.gguf")
    convert(meta / "consolidated.00.pth", tmp_path / "two.gguf")
    assert (tmp_path / "one.gguf").read_bytes() == (tmp_path / "two.gguf").read_bytes()


@pytest.mark.parametrize(
    ("params", "context", "model"),
    [
        ({"norm_eps": 1e-6}, 2048, "LLaMA 1"),
        ({"norm_eps": 1e-5}, 4096, "LLaMA 2"),
        ({"norm_eps": 1e-5, "rope_theta": 1e6}, 16384, "Code Llama"),
        ({"max_seq_len": 512}, 512, None),
    ],
)
def test_context(make_llama: Any, tmp_path: Path, params: Any, context: int, model: str | None) -> None:
    report = convert(write_meta(make_llama(), tmp_path / "meta", shards=1, **params), dry_run=True)
    assert report.context_length == context
    named = [warning for warning in report.warnings if "no context length" in warning]
    assert [model in warning for warning in named] == ([True] if model else [])


def test_missing_shards_are_named(make_llama: Any, tmp_path: Path) -> None:
    folder = make_llama()
    meta = write_meta(folder, tmp_path / "meta", shards=4)
    (meta / "consolidated.03.pth").unlink()
    with pytest.raises(ConversionError, match=r"has 4 shards; missing: consolidated\.03\.pth"):
        convert(meta, tmp_path / "out.gguf")
    (meta / "consolidated.01.pth").unlink()
    with pytest.raises(ConversionError, match=r"missing: consolidated\.01\.pth"):
        convert(meta, tmp_path / "out.gguf")
    (meta / "consolidated.00.pth").unlink()
    with pytest.raises(ConversionError, match=r"missing: consolidated\.00\.pth, consolidated\.01\.pth"):
        convert(meta, tmp_path / "out.gguf")


def test_shards_of_two_models(make_llama: Any, tmp_path: Path) -> None:
    import torch

    folder = make_llama()
    meta = write_meta(folder, tmp_path / "meta", shards=2)
    whole = write_meta(folder, tmp_path / "whole", shards=1)
    second = meta / "consolidated.01.pth"
    state = torch.load(second)

    torch.save({**state, "norm.weight": state["norm.weight"] + 1}, second)
    with pytest.raises(ConversionError, match=r"consolidated\.01\.pth\] norm\.weight: differs"):
        convert(meta, tmp_path / "out.gguf")
    torch.save({**state, "output.weight": state["output.weight"][:, :8].clone()}, second)
    with pytest.raises(ConversionError, match=r"output\.weight: \[200, 8\] does not continue \[200, 64\]"):
        convert(meta, tmp_path / "out.gguf")
    torch.save({**state, "output.weight": state["output.weight"].half()}, second)
    with pytest.raises(ConversionError, match=r"output\.weight: expected f32 .*, got f16"):
        convert(meta, tmp_path / "out.gguf")
    torch.save({name: value for name, value in state.items() if name != "output.weight"}, second)
    with pytest.raises(ConversionError, match=r"consolidated\.01\.pth\] output\.weight is missing"):
        convert(meta, tmp_path / "out.gguf")
    shutil.copy(second, whole)
    with pytest.raises(ConversionError, match="expected 1 shards"):
        convert(whole, tmp_path / "out.gguf")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"dim": None}, "positive integer under dim"),
        ({"n_heads": 5}, "not a multiple of 5 heads"),
        ({"vocab_size": 17}, "vocab_size: 17, but tok_embeddings.weight has 400 rows"),
        ({"use_scaled_rope": True}, "use_scaled_rope"),
        ({"dim": 48}, r"expected a part of \[48, 48\]"),
        ({"n_layers": 3}, r"layers\.2\."),
        ({"n_layers": 1}, r"model\.layers\.1\."),
    ],
)
def test_params_that_are_refused(make_llama: Any, tmp_path: Path, params: Any, message: str) -> None:
    meta = write_meta(make_llama(), tmp_path / "meta", shards=1, **params)
    with pytest.raises(ConversionError, match=message):
        convert(meta, tmp_path / "out.gguf")


def test_tensors_that_are_refused(make_llama: Any, tmp_path: Path) -> None:
    import torch

    meta = write_meta(make_llama(), tmp_path / "meta", shards=1)
    path = meta / "consolidated.00.pth"
    torch.save({**torch.load(path), "layers.0.feed_forward.gate.weight": torch.ones(2, 2)}, path)
    with pytest.raises(
        ConversionError, match=r"layers\.0\.feed_forward\.gate\.weight: not a tensor of Meta's"
    ):
        convert(meta, tmp_path / "out.gguf")
    (meta / "params.json").unlink()
    with pytest.raises(ConversionError, match=r"\[meta\] no params\.json"):
        convert(meta, tmp_path / "out.gguf")


def test_hugging_faces_weights_come_first(make_llama: Any, tmp_path: Path) -> None:
    """Some repositories have both; Meta's part is a second copy there."""
    folder = make_llama()
    convert(folder, tmp_path / "one.gguf")
    (folder / "consolidated.00.pth").write_bytes(b"not looked at")
    convert(folder, tmp_path / "two.gguf")
    assert (tmp_path / "one.gguf").read_bytes() == (tmp_path / "two.gguf").read_bytes()

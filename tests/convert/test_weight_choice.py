"""Which files and names of a folder are the weights: those that transformers would load, or a warning, or a refusal."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from belle_edge import Belle
from belle_edge.convert import convert
from belle_edge.convert.sources.opening import open_checkpoint
from belle_edge.errors import ConversionError
from belle_edge.verification import verify_contents

safetensors = pytest.importorskip("safetensors.numpy")
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("torch")]

Arrays = dict[str, Any]
IDS = [1, 10, 20, 300]


def tensors_of(folder: Path) -> Arrays:
    return dict(safetensors.load_file(folder / "model.safetensors"))


def save(tensors: Mapping[str, Any], path: Path) -> None:
    import torch

    if path.suffix == ".bin":
        torch.save({name: torch.from_numpy(value) for name, value in tensors.items()}, path)
    else:
        safetensors.save_file(dict(tensors), path, metadata={"format": "pt"})


def save_shards(tensors: Arrays, folder: Path, stem: str, suffix: str, *, index: bool = True) -> list[Path]:
    names = list(tensors)
    paths = [folder / f"{stem}-{i + 1:05d}-of-00002{suffix}" for i in range(2)]
    for i, path in enumerate(paths):
        save({name: tensors[name] for name in names[i::2]}, path)
    if index:
        weight_map = {name: paths[i].name for i in range(2) for name in names[i::2]}
        (folder / f"{stem}{suffix}.index.json").write_text(
            json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map})
        )
    return paths


def halved(tensors: Arrays) -> Arrays:
    return {name: value * np.float32(0.5) if value.ndim > 1 else value for name, value in tensors.items()}


def expect_same_as_transformers(folder: Path, tmp_path: Path) -> list[str]:
    """Logits of the conversion; its warnings."""
    import torch

    transformers = pytest.importorskip("transformers")
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        expected = model(torch.tensor([IDS])).logits[0].numpy()
    target = tmp_path / "out.gguf"
    report = convert(folder, target, type="f32", force=True)
    with Belle.load(target) as ours:
        got = ours.logits(IDS)
    assert np.abs(got - expected).max() < 1e-3 * np.abs(expected).max()
    assert verify_contents(target, against=folder).ok
    about = (
        "model.safetensors",
        "pytorch_model",
        "lm_head",
        "wrapped model",
        "adapter",
    )  # not the prompt family
    return [warning for warning in report.warnings if any(word in warning for word in about)]


def test_a_complete_file_comes_before_its_index(make_llama: Any, tmp_path: Path) -> None:
    folder = make_llama()
    tensors = tensors_of(folder)
    shards = save_shards(halved(tensors), folder, "model", ".safetensors")
    (warning,) = expect_same_as_transformers(folder, tmp_path)
    assert "model.safetensors is read" in warning
    assert "2 of 2 shards" in warning
    for path in shards:
        path.unlink()
    (warning,) = expect_same_as_transformers(folder, tmp_path)
    assert "0 of 2 shards" in warning
    (folder / "model.safetensors.index.json").write_text("{")
    assert expect_same_as_transformers(folder, tmp_path) == []


def test_the_index_comes_before_the_other_form(make_llama: Any, tmp_path: Path) -> None:
    folder = make_llama()
    tensors = tensors_of(folder)
    save(halved(tensors), folder / "pytorch_model.bin")
    assert expect_same_as_transformers(folder, tmp_path) == []
    (folder / "model.safetensors").unlink()
    shards = save_shards(tensors, folder, "model", ".safetensors")
    assert expect_same_as_transformers(folder, tmp_path) == []
    shards[1].unlink()
    with pytest.raises(
        ConversionError, match=r"1 of 2 shards missing.*pytorch_model\.bin is there: give that file"
    ):
        open_checkpoint(folder)
    assert len(open_checkpoint(folder / "pytorch_model.bin").weights) == len(tensors)


def test_shards_without_an_index_come_last(make_llama: Any, tmp_path: Path) -> None:
    folder = make_llama()
    tensors = tensors_of(folder)
    (folder / "model.safetensors").unlink()
    save_shards(halved(tensors), folder, "model", ".safetensors", index=False)
    save(tensors, folder / "pytorch_model.bin")
    assert expect_same_as_transformers(folder, tmp_path) == []
    (folder / "pytorch_model.bin").unlink()
    assert len(open_checkpoint(folder).weights) == len(tensors)
    save({"a": np.zeros(3, np.float32)}, folder / "model-00001-of-00009.safetensors")
    with pytest.raises(
        ConversionError, match=r"shards of several checkpoints and no index.* of 2 and of 9 files"
    ):
        open_checkpoint(folder)


def test_the_file_that_the_configuration_names(make_llama: Any, tmp_path: Path, edit_json: Any) -> None:
    folder = make_llama()
    save(halved(tensors_of(folder)), folder / "other.safetensors")
    edit_json(folder / "config.json", transformers_weights="other.safetensors")
    expect_same_as_transformers(folder, tmp_path)
    edit_json(folder / "config.json", transformers_weights="gone.safetensors")
    with pytest.raises(ConversionError, match="transformers_weights"):
        open_checkpoint(folder)


@pytest.mark.parametrize("maker", ["make_llama", "make_bloom"])
def test_a_tied_head_that_differs_is_kept(request: Any, tmp_path: Path, edit_json: Any, maker: str) -> None:
    """In one row, which no sample of rows need see."""
    folder = request.getfixturevalue(maker)(tie_word_embeddings=False)
    edit_json(folder / "config.json", tie_word_embeddings=True)
    tensors = tensors_of(folder)
    embedding = next(
        name for name in tensors if name.endswith(("embed_tokens.weight", "word_embeddings.weight"))
    )
    tensors["lm_head.weight"] = tensors[embedding].copy()
    save(tensors, folder / "model.safetensors")
    assert expect_same_as_transformers(folder, tmp_path) == []
    tensors["lm_head.weight"][5] += 1
    save(tensors, folder / "model.safetensors")
    (warning,) = expect_same_as_transformers(folder, tmp_path)
    assert "lm_head.weight differs from the embedding" in warning
    assert "it is kept" in warning


WRAPPERS: dict[str, Callable[[str], str]] = {
    "compile": lambda name: f"_orig_mod.{name}",
    "ddp": lambda name: f"module.{name}",
    "peft": lambda name: f"base_model.model.{name}",
    "lightning": lambda name: f"model.{name}",
    "unknown": lambda name: f"student.net.{name}",
    "compiled_ddp": lambda name: f"module._orig_mod.{name}",
    "fsdp": lambda name: (
        "_fsdp_wrapped_module."
        + name.replace("layers.0.", "layers.0._fsdp_wrapped_module.").replace(
            "h.0.", "h.0._checkpoint_wrapped_module."
        )
    ),
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("maker", ["make_llama", "make_bloom"])
@pytest.mark.parametrize("bare", [False, True])
def test_names_of_wrapped_models(request: Any, maker: str, wrapper: str, bare: bool) -> None:
    folder = request.getfixturevalue(maker)(bare=bare)
    plain = open_checkpoint(folder)
    assert plain.warnings == ()
    tensors = tensors_of(folder)
    save({WRAPPERS[wrapper](name): value for name, value in tensors.items()}, folder / "model.safetensors")
    wrapped = open_checkpoint(folder)
    base = {"make_llama": "model.", "make_bloom": "transformer."}[maker]
    assert {name.removeprefix(base) for name in wrapped.weights} == {
        name.removeprefix(base) for name in plain.weights
    }
    if not (bare and wrapper == "lightning" and maker == "make_llama"):  # these are transformers' own names
        (warning,) = wrapped.warnings
        assert "names of a wrapped model" in warning


def test_a_prefix_of_some_names_is_refused(make_llama: Any) -> None:
    folder = make_llama()
    tensors = {f"student.{name}": value for name, value in tensors_of(folder).items()}
    save({**tensors, "teacher.x": np.zeros(3, np.float32)}, folder / "model.safetensors")
    with pytest.raises(ConversionError, match=r"embed_tokens\.weight is missing.*student\.") as caught:
        convert(folder, folder / "out.gguf")
    assert "download" not in str(caught.value)
    tensors["_orig_mod.student.lm_head.weight"] = tensors["student.lm_head.weight"]
    save(tensors, folder / "model.safetensors")
    with pytest.raises(ConversionError, match="two tensors for"):
        open_checkpoint(folder)


def test_what_others_leave_in_a_folder(make_llama: Any, tmp_path: Path) -> None:
    """macOS, trainers, the hub's cache, Meta's own form beside: none of it is taken for weights."""
    folder = make_llama()
    (folder / "original").mkdir()
    (folder / ".cache" / "huggingface").mkdir(parents=True)
    for name in (
        "._model.safetensors",
        "._config.json",
        "._model-00001-of-00002.safetensors",
        "optimizer.pt",
    ):
        (folder / name).write_bytes(b"\0\5\26\7")
    for name in (
        "training_args.bin",
        "scheduler.pt",
        "rng_state_0.pth",
        "consolidated.00.pth",
        "consolidated.safetensors",
    ):
        (folder / name).write_bytes(b"none of ours")
    config = folder / "config.json"
    config.write_bytes(config.read_bytes())
    assert expect_same_as_transformers(folder, tmp_path) == []
    (folder / "model.safetensors").unlink()
    (folder / "consolidated.00.pth").unlink()
    with pytest.raises(ConversionError, match="no weights"):
        open_checkpoint(folder)
    (folder / "latest").write_text("global_step10")
    with pytest.raises(ConversionError, match=r"zero_to_fp32\.py"):
        open_checkpoint(folder)


def test_a_byte_order_mark(make_llama: Any, tmp_path: Path) -> None:
    folder = make_llama()
    plain = convert(folder, tmp_path / "plain.gguf", type="f32")
    for name in ("config.json", "tokenizer_config.json"):
        (folder / name).write_bytes(b"\xef\xbb\xbf" + (folder / name).read_bytes())
    assert convert(folder, tmp_path / "out.gguf", type="f32").warnings == plain.warnings


def test_empty_tensors_are_zero_3(make_llama: Any) -> None:
    folder = make_llama()
    tensors = {name: np.zeros(0, np.float32) for name in tensors_of(folder)}
    save(tensors, folder / "model.safetensors")
    with pytest.raises(ConversionError, match=r"is empty, shape \[0\].*ZeRO-3.*zero_to_fp32\.py"):
        convert(folder, folder / "out.gguf")

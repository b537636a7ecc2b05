"""Synthetic models: both engines load them, the bytes are always the same, and nothing is left half done."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from belle_edge import Belle, _core
from belle_edge.benchmark.shapes import SHAPES, Shape, tensor_shapes
from belle_edge.benchmark.synthetic import synthetic_model, write_synthetic
from belle_edge.convert.progress import ConversionProgress
from belle_edge.convert.type_mixes import NAMES
from belle_edge.convert.type_rules import TypeRules
from belle_edge.errors import ConversionError

from .conftest import TINY

Tiny = Callable[[str], Path]
IDS = list(range(300, 340))


@pytest.mark.parametrize("architecture", sorted(TINY))
def test_our_engine_runs_it(tiny: Tiny, architecture: str) -> None:
    shape = TINY[architecture]
    with Belle.load(tiny(architecture)) as model:
        assert model.config["n_layers"] == shape.n_layers
        assert model.config["vocab_size"] == len(model.tokenizer) == shape.n_vocab
        (logits,) = model.backend.forward([(model.backend.new_sequence(), IDS)], logits="all")
        assert model.detokenize(model.tokenize("t0 x")).strip() == "t0 x"
    assert np.isfinite(logits).all()
    assert 0.3 < logits.std() < 3  # activations keep their size


@pytest.mark.parametrize("architecture", sorted(TINY))
def test_llama_cpp_computes_the_same(llama_cpp: Any, tiny: Tiny, architecture: str) -> None:
    rows = []
    for backend in ("native", "llama.cpp"):
        with Belle.load(tiny(architecture), backend=backend, threads=1) as model:
            rows.append(model.backend.forward([(model.backend.new_sequence(), IDS)])[0][0])
    assert np.corrcoef(rows[0], rows[1])[0, 1] > 0.999


def test_the_same_bytes_each_time(tiny: Tiny, tmp_path: Path) -> None:
    write_synthetic(TINY["bloom"], tmp_path / "again.gguf")
    assert (tmp_path / "again.gguf").read_bytes() == tiny("bloom").read_bytes()


def test_layers_are_not_alike(tiny: Tiny) -> None:
    file = _core.GgufFile(str(tiny("llama")))
    first, second = (file.tensor_bytes(f"blk.{layer}.ffn_up.weight") for layer in range(2))
    assert not np.array_equal(first, second)
    rows = first.reshape(TINY["llama"].feed_forward, -1)
    assert len({row.tobytes() for row in rows}) == len(rows)


@pytest.mark.parametrize("architecture", sorted(TINY))
def test_the_same_channels_are_large_in_every_layer(tiny: Tiny, architecture: str) -> None:
    file, shape = _core.GgufFile(str(tiny(architecture))), TINY[architecture]
    norms = [
        file.tensor_bytes(f"blk.{layer}.{name}_norm.weight").view(np.float32)
        for layer in range(shape.n_layers)
        for name in ("attn", "ffn")
    ]
    outliers = norms[0] > 10 * np.median(norms[0])
    assert 1 <= outliers.sum() <= 6
    for norm in norms:
        assert np.array_equal(norm, norms[0])
        assert np.square(norm).mean() == pytest.approx(1)


def test_published_sizes() -> None:
    """Parameters as the models' cards give them."""
    billions = {
        name: sum(int(np.prod(size)) for _, size in tensor_shapes(shape)) / 1e9
        for name, shape in SHAPES.items()
    }
    assert billions == pytest.approx(
        {"belle-7b": 7.069, "belle-llama-7b": 6.738, "belle-llama-13b": 13.016}, abs=1e-3
    )


def test_a_cached_file_is_used_and_a_cut_one_replaced(tmp_path: Path) -> None:
    shape = TINY["bloom"]
    path = synthetic_model(shape, folder=tmp_path / "new")
    content, changed = path.read_bytes(), path.stat().st_mtime_ns
    assert synthetic_model(shape, folder=tmp_path / "new") == path
    assert path.stat().st_mtime_ns == changed
    path.write_bytes(content[:-1000])
    synthetic_model(shape, folder=tmp_path / "new")
    assert path.read_bytes() == content


def test_the_cache_folder_can_be_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELLE_CACHE", str(tmp_path))
    assert synthetic_model(TINY["bloom"]).is_relative_to(tmp_path)


def test_an_interrupted_write_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(event: ConversionProgress) -> None:
        if event.done_bytes > event.total_bytes / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthetic_model(TINY["bloom"], folder=tmp_path, progress=interrupt)
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".lock"] == []


def test_progress_ends_at_the_size_of_the_file(tmp_path: Path) -> None:
    events: list[ConversionProgress] = []
    path = synthetic_model(TINY["llama"], folder=tmp_path, progress=events.append)
    assert events[-1].done_bytes == events[-1].total_bytes == path.stat().st_size
    assert len(events) == len(list(tensor_shapes(TINY["llama"])))


def test_disk_space_is_checked_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=1000))

    def refuse(*_arguments: object) -> NoReturn:
        raise AssertionError("something was written")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(ConversionError, match="disk space"):
        synthetic_model(TINY["bloom"], folder=tmp_path)


def test_a_shape_without_words_of_its_own(tmp_path: Path) -> None:
    """A vocabulary that special tokens and bytes nearly fill."""
    shape = Shape("few", "llama", 1, 64, 2, 96, 272, 64)
    write_synthetic(shape, tmp_path / "few.gguf")
    with Belle.load(tmp_path / "few.gguf") as model:
        assert model.config["vocab_size"] == 272


@pytest.mark.parametrize("name", NAMES)
def test_every_type_and_mix(name: str, tmp_path: Path) -> None:
    """The matrices' types are the converter's, the sizes those of the types, and the bytes finite numbers."""
    shape, rules = Shape("wide", "llama", 8, 256, 4, 512, 601, 256), TypeRules(name)
    path = synthetic_model(shape, rules=rules, folder=tmp_path)
    file = _core.GgufFile(str(path))
    found = {tensor.name: tensor for tensor in file.tensors() if len(tensor.shape) == 2}
    expected = rules.types_of({key: tensor.shape for key, tensor in found.items()}, n_layers=shape.n_layers)
    assert {key: tensor.type for key, tensor in found.items()} == {
        key: choice.type for key, choice in expected.items()
    }
    assert synthetic_model(shape, rules=rules, folder=tmp_path) == path
    file.check_supported()
    with Belle.load(path) as model:
        (logits,) = model.backend.forward([(model.backend.new_sequence(), IDS)], logits="all")
    assert np.isfinite(logits).all()
    assert 0.3 < logits.std() < 3


def test_each_mix_has_a_file_of_its_own(tmp_path: Path) -> None:
    shape = Shape("wide", "llama", 2, 256, 4, 512, 601, 256)
    rules = [TypeRules("q4_0", pure=True), TypeRules("q8_0"), TypeRules("q4_0", head_type="q8_0")]
    rules.append(TypeRules("q4_0", tensor_type="blk.*.ffn_down=q8_0"))
    names = [synthetic_model(shape, rules=rule, folder=tmp_path).name for rule in rules]
    assert len(set(names)) == len(names)
    assert names[0] == "wide-q4_0-v3.gguf"


@pytest.mark.parametrize("name", NAMES)
def test_rows_that_a_type_does_not_divide(name: str, tmp_path: Path) -> None:
    shape = Shape("odd", "llama", 1, 48, 2, 96, 272, 64)
    write_synthetic(shape, tmp_path / "odd.gguf", rules=TypeRules(name))
    known = _core.weight_types()
    tensors = {tensor.name: tensor for tensor in _core.GgufFile(str(tmp_path / "odd.gguf")).tensors()}
    assert all(tensor.shape[-1] % known[tensor.type]["block_size"] == 0 for tensor in tensors.values())
    is_whole = known[name]["block_size"] == 1 if name in known else False
    assert tensors["blk.0.ffn_up.weight"].type == (name if is_whole else "f16")  # rows of 48
    assert known[tensors["blk.0.ffn_down.weight"].type]["block_size"] == (1 if is_whole else 32)  # rows of 96

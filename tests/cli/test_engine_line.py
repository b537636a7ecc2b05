"""`info` says whether the native engine runs a file, and which backend may where it does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from belle_edge._core import Model
from belle_edge.errors import BelleError

from ..gguf.split import split
from ..model.gguf_models import GgufModel, random_llama

Belle = Callable[..., Any]


def foreign_architecture() -> GgufModel:
    model = random_llama()
    model.architecture = "qwen2"
    return model


def unread_type() -> GgufModel:
    model = random_llama()
    kind = gguf.GGMLQuantizationType.MXFP4
    name = "blk.0.attn_q.weight"
    model.raw[name] = (kind, gguf.quants.quantize(model.tensors.pop(name), kind))
    return model


def more_tensors() -> GgufModel:
    model = random_llama()
    model.tensors["blk.0.attn_q_norm.weight"] = np.ones(16, np.float32)
    return model


def other_tokenizer() -> GgufModel:
    model = random_llama()
    model.extra = {"tokenizer.ggml.model": "bert", "tokenizer.ggml.tokens": ["a"]}
    return model


CASES = {
    foreign_architecture: "architecture 'qwen2'",
    unread_type: "has type mxfp4",
    more_tensors: "'blk.0.attn_q_norm.weight' has no place",
    other_tokenizer: "tokenizer.ggml.model 'bert' is not implemented",
}


@pytest.mark.slow
@pytest.mark.parametrize("make", CASES)
def test_what_the_native_engine_lacks(belle: Belle, tmp_path: Path, make: Callable[[], GgufModel]) -> None:
    path = make().write(tmp_path / "other.gguf")
    done = belle("info", path)
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("engine")]
    assert line.startswith("engine        not the native one: ")
    assert CASES[make] in line
    assert line.count("llama.cpp backend") == 1
    native = json.loads(belle("info", path, "--json").stdout)["native"]
    assert native["runs"] is False
    assert native["reason"] in line
    if make is not other_tokenizer:
        with pytest.raises(BelleError) as caught:
            Model(str(path))
        assert native["reason"] in str(caught.value)


@pytest.mark.slow
def test_a_split_file(belle: Belle, model: Path, tmp_path: Path) -> None:
    first, *others = split(model, tmp_path)
    done = belle("info", first)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert "split         in 3 parts, all there" in lines
    assert "engine        native" in lines
    assert [line for line in lines if line.startswith("weights  ")] == [
        line for line in belle("info", model).stdout.splitlines() if line.startswith("weights  ")
    ]
    assert "split         in 3 parts, all there and in order" in belle("verify", first).stdout.splitlines()
    text = belle("generate", first, "北京", "--temperature", "0", "--max-tokens", "4")
    assert text.returncode == 0
    assert text.stdout == belle("generate", model, "北京", "--temperature", "0", "--max-tokens", "4").stdout
    for command in ("info", "verify", "generate"):
        done = belle(command, others[0], *(["a"] if command == "generate" else []))
        assert done.returncode == 1
        assert f"give the first part, '{first.name}'" in done.stderr

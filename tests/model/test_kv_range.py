"""Keys and values that a float16 cache cannot hold: named with the remedy, never taken for damage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from belle_edge._core import Model
from belle_edge.errors import UnsupportedModelError

from .gguf_models import random_bloom, random_llama

IDS = [1, 5, 7, 300]


def with_large(make: Any, name: str, tmp_path: Path, kind: str) -> Path:
    model = make()
    model.tensors[name] = model.tensors[name] * np.float32(1e6)
    return model.write(tmp_path / "large.gguf", kind)


def load_and_run(path: Path) -> None:
    """A tier that measures the forms of its activations meets the numbers when it loads."""
    model = Model(str(path), threads=2)
    model.forward([(model.new_sequence(), IDS)])


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (random_llama, "blk.1.attn_k.weight"),
        (random_llama, "blk.1.attn_v.weight"),
        (random_bloom, "blk.1.attn_qkv.weight"),
    ],
)
def test_the_remedy_is_named_and_works(tmp_path: Path, make: Any, name: str) -> None:
    path = with_large(make, name, tmp_path, "q8_0")
    with pytest.raises(UnsupportedModelError, match=r"of layer 1 is beyond 65504.*kv='f32'"):
        load_and_run(path)
    wide = Model(str(path), threads=2, kv_type="f32")
    assert np.isfinite(wide.forward([(wide.new_sequence(), IDS)], logits="all")[0]).all()


def test_the_largest_float16_still_fits(tmp_path: Path) -> None:
    """A value at the edge is stored as it is: nothing below the limit is refused."""
    model = random_llama()
    model.tensors["blk.0.attn_v.bias"] = np.full(32, 65000.0, np.float32)
    path = model.write(tmp_path / "edge.gguf", "q8_0")
    engine = Model(str(path), threads=2)
    assert np.isfinite(engine.forward([(engine.new_sequence(), IDS)])[0]).all()


def test_float_files_have_a_float32_cache(tmp_path: Path) -> None:
    model = Model(str(with_large(random_llama, "blk.0.attn_v.weight", tmp_path, "f32")))
    assert model.kv_type == "f32"
    assert np.isfinite(model.forward([(model.new_sequence(), IDS)])[0]).all()

"""Checkpoints with something changed, and the GGUF files made from them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

Weights = dict[str, NDArray[Any]]


@pytest.fixture
def gguf_of_changed(tmp_path: Path, checkpoint: Callable[[str], Path]) -> Callable[..., Path]:
    """(kind, weights=…, tokenizer=…, type=…) -> the GGUF of a copy, its weights or tokenizer.json edited in place."""
    from safetensors.numpy import load_file, save_file

    from belle_edge.convert import convert

    def make(
        kind: str,
        *,
        weights: Callable[[Weights], None] | None = None,
        tokenizer: Callable[[Any], None] | None = None,
        type: str = "q4_0",
        family: str | None = None,
    ) -> Path:
        folder = tmp_path / checkpoint(kind).name
        shutil.copytree(checkpoint(kind), folder)
        if weights is not None:
            tensors = load_file(folder / "model.safetensors")
            weights(tensors)
            save_file(
                {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()},
                folder / "model.safetensors",
                metadata={"format": "pt"},
            )
        if tokenizer is not None:
            settings = json.loads((folder / "tokenizer.json").read_text("utf-8"))
            tokenizer(settings)
            (folder / "tokenizer.json").write_text(json.dumps(settings, ensure_ascii=False), "utf-8")
        convert(folder, tmp_path / "changed.gguf", type=type, family=family)
        return tmp_path / "changed.gguf"

    return make

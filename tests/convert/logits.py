"""Logits of a checkpoint in transformers and of its GGUF in our engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def transformers_logits(folder: Path, ids: list[int]) -> NDArray[np.float32]:
    import torch
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        logits: NDArray[np.float32] = model(torch.tensor([ids])).logits[0].numpy()
    return logits


def native_logits(path: Path, ids: list[int]) -> NDArray[np.float32]:
    from belle_edge import _core

    model = _core.Model(str(path))
    return np.array(model.forward([(model.new_sequence(), ids)], logits="all")[0])


def relative_error(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))

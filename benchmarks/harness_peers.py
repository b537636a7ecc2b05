"""What the benchmarks of lm-evaluation-harness share: our engine and the harness' `hf` model with the same weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from belle_edge import Belle
from belle_edge.quality.harness import BelleLM

os.environ.setdefault("HF_HUB_OFFLINE", "1")


def our_model(gguf: Path, *, threads: int, family: str | None = None) -> BelleLM:
    """A GGUF file of float32 matrices, by our engine."""
    return BelleLM(Belle.load(gguf, threads=threads, family=family))


def hf_model(original: Path, *, threads: int, batch_size: int, max_length: int) -> Any:
    """A checkpoint folder, or a GGUF file that transformers dequantizes, in float32 by torch with `threads` threads."""
    import torch
    from lm_eval.models.huggingface import HFLM

    torch.set_num_threads(threads)
    folder, more = (original, {}) if original.is_dir() else (original.parent, {"gguf_file": original.name})
    model = HFLM(
        pretrained=str(folder),
        dtype="float32",
        device="cpu",
        batch_size=batch_size,
        max_length=max_length,
        **more,
    )
    settings = model.model.generation_config  # a checkpoint's defaults would overrule what tasks say
    settings.max_new_tokens = settings.max_length = None
    return model


def machine(threads: int) -> str:
    """For the head of a report."""
    import platform

    from belle_edge import _core

    names = [line for line in _cpu_lines() if line.startswith("model name")]
    name = names[0].partition(":")[2].strip() if names else platform.machine()
    return f"{name}, {_core.default_isa()}, {threads} threads, Python {platform.python_version()}"


def _cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text("utf-8").splitlines() if path.exists() else []

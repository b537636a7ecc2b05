"""Moments of a model whose inputs are drawn at random, correlated and with a few loud columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from belle_edge.convert.architectures.mapped_model import MappedTensor
from belle_edge.convert.gguf_writer import ModelFile
from belle_edge.convert.moments.calibration_source import CalibrationSource
from belle_edge.convert.moments.correlations import pack
from belle_edge.convert.moments.moments_facts import MomentsFacts
from belle_edge.convert.moments.moments_layout import MatrixGroup, MomentsLayout
from belle_edge.convert.moments.weight_sample import WeightSample

_SHARED = (("attn_q", "attn_k", "attn_v"), ("ffn_gate", "ffn_up"))
N_TOKENS = 700


def groups_of(tensors: list[MappedTensor]) -> list[MatrixGroup]:
    """Matrices by the input that they share; the head's, too."""
    shapes = {tensor.name: tensor.shape for tensor in tensors if len(tensor.shape) == 2}
    groups: dict[str, list[str]] = {}
    for name in shapes:
        if name == "token_embd.weight":
            continue
        place, _, part = name.removesuffix(".weight").rpartition(".")
        first = next((parts[0] for parts in _SHARED if part in parts), part)
        groups.setdefault(f"{place}.{first}" if place else first, []).append(name)
    if "output.weight" not in shapes:
        groups["output"] = ["token_embd.weight"]
    return [MatrixGroup(name, tuple(found), shapes[found[0]][1]) for name, found in groups.items()]


def some_moments(n_columns: int, seed: int) -> NDArray[np.float32]:
    """Sums of x xᵀ over N_TOKENS tokens."""
    draw = np.random.default_rng(seed)
    mixing = draw.standard_normal((n_columns, n_columns)) / np.sqrt(n_columns) + np.eye(n_columns)
    scales = np.exp(draw.standard_normal(n_columns)) * np.where(np.arange(n_columns) % 29 == 3, 12, 1)
    inputs = (draw.standard_normal((N_TOKENS, n_columns)) @ mixing) * scales
    return np.asarray(inputs.T @ inputs, dtype=np.float32)


def write_moments(source: Path, out: Path, *, full: bool = True, seed: int = 0) -> Path:
    """A file of moments for a checkpoint or a GGUF; full: with all moments, not energies alone."""
    model = CalibrationSource.open(source)
    groups = groups_of(model.tensors)
    facts = MomentsFacts(
        kind="moments",
        n_tokens=N_TOKENS,
        n_texts=3,
        datasets=("drawn.jsonl",),
        languages=(),
        token_sha256="ab" * 32,
        model_name="drawn",
    )
    sample = WeightSample.of(model.tensors)
    layout = MomentsLayout.of(groups, facts, sample, architecture=model.architecture, full=full)
    with out.open("w+b", buffering=0) as file:
        written = ModelFile(file, layout.header)
        for place, group in enumerate(groups):
            sums = some_moments(group.n_columns, seed + place)
            packed = pack(sums) if full else None
            layout.write(written, group, np.diagonal(sums).copy(), packed, n_tokens=N_TOKENS)
        written.finish()
    return out

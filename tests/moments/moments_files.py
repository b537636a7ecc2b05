"""Files of moments for tests: ours through the product's own writer, llama.cpp's old ones byte by byte."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from belle_edge.convert.architectures.mapped_model import Metadata
from belle_edge.convert.gguf_writer import ModelFile, build_header
from belle_edge.convert.moments.correlations import pack
from belle_edge.convert.moments.moments_facts import MomentsFacts
from belle_edge.convert.moments.moments_layout import FileEntry, MatrixGroup, MomentsLayout
from belle_edge.convert.moments.weight_sample import WeightSample
from belle_edge.convert.partial_file import atomic_file

GROUPS = (
    MatrixGroup("blk.0.attn_q", ("blk.0.attn_q.weight", "blk.0.attn_k.weight", "blk.0.attn_v.weight"), 64),
    MatrixGroup("blk.0.ffn_down", ("blk.0.ffn_down.weight",), 96),
)
FACTS = MomentsFacts(
    kind="moments",
    n_tokens=200,
    n_texts=7,
    datasets=("bundled",),
    languages=("zh", "en"),
    token_sha256="0" * 64,
    model_name="BELLE",
)
SAMPLE = WeightSample("1" * 64, np.arange(5, dtype=np.float32))


def inputs(group: MatrixGroup, *, n_tokens: int = 200) -> NDArray[np.float32]:
    """Inputs of a group [n_tokens, n_columns]: columns of many sizes that go together, one of them always 0."""
    generator = np.random.default_rng(group.n_columns)
    mixed = generator.standard_normal((n_tokens, 24)) @ generator.standard_normal((24, group.n_columns))
    mixed *= np.exp(generator.standard_normal(group.n_columns))
    mixed[:, 5] = 0
    return mixed.astype(np.float32)


def write_moments(path: Path, *, full: bool = True, facts: MomentsFacts = FACTS) -> Path:
    """A file of ours with `inputs`."""
    layout = MomentsLayout.of(GROUPS, facts, SAMPLE, architecture="llama", full=full)
    with atomic_file(path) as file:
        output = ModelFile(file, layout.header)
        for group in GROUPS:
            x = inputs(group)
            sums = x.T @ x
            packed = pack(sums) if full else None
            layout.write(
                output, group, np.ascontiguousarray(np.diagonal(sums)), packed, n_tokens=facts.n_tokens
            )
        output.finish()
    return path


def write_entries(path: Path, metadata: Metadata, tensors: Mapping[str, NDArray[np.generic]]) -> Path:
    """A file of whatever content, with the right checksums."""
    entries = [FileEntry(name, values.size, f"<{values.dtype.str[1:]}") for name, values in tensors.items()]
    header = build_header("llama", {"general.type": "imatrix", **metadata}, entries)
    with atomic_file(path) as file:
        output = ModelFile(file, header)
        for offset, values in zip(header.offsets, tensors.values(), strict=True):
            output.write_at(offset, values.tobytes())
        output.finish()
    return path


def old_imatrix(
    entries: Mapping[str, NDArray[np.float32]], *, n_calls: int, dataset: str | None = "/home/me/wiki.txt"
) -> bytes:
    """llama.cpp's .dat: mean squares times calls; with the chunks and the data's name, or without (None)."""
    content = struct.pack("<i", len(entries))
    for name, energies in entries.items():
        content += struct.pack("<i", len(name)) + name.encode()
        content += struct.pack("<ii", n_calls, energies.size) + (energies * n_calls).astype("<f4").tobytes()
    if dataset is not None:
        content += struct.pack("<ii", n_calls, len(dataset)) + dataset.encode()
    return content

"""The table of published models in the READMEs: the same commands, families as recognised, sizes as computed."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from belle_edge import _core
from belle_edge.benchmark.shapes import SHAPES, Shape, tensor_shapes
from belle_edge.convert.identity import identify
from belle_edge.convert.releases import EXT_ROWS
from belle_edge.convert.sources.checkpoint import Checkpoint
from belle_edge.convert.sources.checkpoint_files import FolderFiles
from belle_edge.convert.type_costs import type_cost
from belle_edge.convert.type_mixes import DEFAULT_TYPE

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| (.+?) \| `(belle-edge convert .+?)` \| (.+?) \| (.+?) \|$", re.MULTILINE)
LLAMA_7B, LLAMA_13B = SHAPES["belle-llama-7b"], SHAPES["belle-llama-13b"]
SHAPE_OF = {
    "BELLE-7B": SHAPES["belle-7b"],
    "BELLE-LLaMA-EXT-7B": Shape("ext-7b", "llama", 32, 4096, 32, 11008, EXT_ROWS),
    "BELLE-LLaMA-EXT-13B": Shape("ext-13b", "llama", 40, 5120, 40, 13824, EXT_ROWS),
    "BELLE-LLaMA-13B": LLAMA_13B,
    "BELLE-Llama2-13B": LLAMA_13B,
    "BELLE-LLaMA-7B": LLAMA_7B,
    "Meta": LLAMA_7B,
}


def table(name: str) -> list[tuple[str, ...]]:
    return ROW.findall((ROOT / name).read_text(encoding="utf-8"))


def shape_of(name: str) -> Shape | None:
    return next((shape for prefix, shape in SHAPE_OF.items() if name.startswith(prefix)), None)


def default_size(shape: Shape) -> float:
    """Size of the weights in the default mix, in bytes."""
    sizes = dict(tensor_shapes(shape))
    return type_cost(
        DEFAULT_TYPE, sizes, shape.architecture, n_layers=shape.n_layers, key_sharing=1
    ).weight_bytes


def giga(shape: Shape, block_type: str, *, other_type: str) -> str:
    """Size of the weights: matrices of the layers as `block_type`, embedding and head as `other_type`."""
    types = _core.weight_types()
    n_bytes = 0
    for name, sizes in tensor_shapes(shape):
        inside = name.startswith("blk.")
        kind = "f32" if len(sizes) == 1 else block_type if inside else other_type
        n_bytes += math.prod(sizes) // types[kind]["block_size"] * types[kind]["block_bytes"]
    return f"{n_bytes / 1e9:.1f}"


def test_both_languages_have_the_same_commands() -> None:
    english, chinese = table("README.md"), table("README.zh-CN.md")
    assert len(english) == 12
    assert [row[1] for row in english] == [row[1] for row in chinese]


@pytest.mark.parametrize("row", table("README.md"), ids=lambda row: row[0])
def test_sizes(row: tuple[str, ...]) -> None:
    name, _, _, size = row
    shape = shape_of(name)
    if shape is None:
        assert size in ("as base", "as source")
    elif "gptq" in name:  # BLOOM's are asymmetric; LLaMA's may be symmetric, which q4_0 holds
        sizes = [giga(shape, kind, other_type="f16") for kind in ("q4_0", "q4_1")]
        assert size == (f"{sizes[1]} GB" if shape.architecture == "bloom" else f"{sizes[0]}–{sizes[1]} GB")
    else:
        assert size == f"{default_size(shape) / 1e9:.1f} GB"


@pytest.mark.parametrize("row", table("README.md"), ids=lambda row: row[0])
def test_families(row: tuple[str, ...], tmp_path: Path) -> None:
    name, _, family, _ = row
    shape = shape_of(name)
    if shape is None:
        return
    folder = tmp_path / name.split(",")[0]
    folder.mkdir()
    config = {"hidden_size": shape.hidden, "num_hidden_layers": shape.n_layers}
    checkpoint = Checkpoint(FolderFiles(folder), None, None, config, {})
    found = identify(checkpoint, architecture=shape.architecture, n_vocab_rows=shape.n_vocab)
    assert found.confidence == ("none" if name.startswith("Meta") else "certain")
    assert family == (f"`{found.family}`" if found.family else "–")

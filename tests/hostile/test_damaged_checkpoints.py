"""Randomly damaged checkpoints through `belle-edge convert`: a complete file, or one line and no file at all."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from pathlib import Path

import pytest

from belle_edge._core import GgufFile

from .checkpoints import write_bloom, write_checkpoint
from .damage import damaged
from .outcomes import outcomes_of_commands

pytestmark = pytest.mark.slow
N_SEEDS = 60


def damaged_copy(source: Path, target: Path, seed: int) -> Path:
    """A copy with damage in one of its files; in the weights, mostly in their header."""
    shutil.copytree(source, target)
    path = random.Random(seed).choice(sorted(target.iterdir()))
    data = path.read_bytes()
    n_header = 8 + int.from_bytes(data[:8], "little") if path.suffix == ".safetensors" else len(data)
    path.write_bytes(damaged(data, n_header, seed)[0])
    return target


@pytest.mark.parametrize("architecture", ["llama", "bloom"])
def test_randomly_damaged_checkpoints(tmp_path: Path, architecture: str) -> None:
    pytest.importorskip("resource", reason="memory limits need POSIX")
    source = tmp_path / "sound"
    if architecture == "llama":
        write_checkpoint(source, hidden=64, n_layers=1, n_heads=2)
    else:
        write_bloom(source)
    (tmp_path / "out").mkdir()
    commands = [["convert", str(source), "-o", str(tmp_path / "out" / "sound.gguf"), "--json"]]
    for seed in range(N_SEEDS):
        folder = damaged_copy(source, tmp_path / f"damaged-{seed}", seed)
        commands.append(["convert", str(folder), "-o", str(tmp_path / "out" / f"{seed}.gguf"), "--json"])
    outcomes = outcomes_of_commands(commands)
    assert outcomes[0] == "runs"
    for command, outcome in zip(commands, outcomes, strict=True):
        out = Path(command[3])
        assert out.exists() == (outcome == "runs"), (command, outcome)
        if out.exists():
            assert GgufFile(str(out)).tensors()
    assert not list((tmp_path / "out").glob("*.part"))
    counts = Counter("runs" if outcome == "runs" else "refused" for outcome in outcomes)
    print(f"\n{architecture} checkpoints: {dict(counts)}")
    assert counts["refused"] > N_SEEDS // 4

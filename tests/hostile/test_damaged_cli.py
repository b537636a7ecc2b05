"""Randomly damaged files through `belle-edge info` and `belle-edge generate`.

Each either runs, where the damage hit weight values or text that nothing depends on, or ends with one line and a code
that is not 0: no traceback, no unexpected kind of error, no signal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from belle_edge._core import GgufFile

from .conftest import Completed, SmallModel
from .damage import damaged
from .outcomes import error_line, outcomes_of_files

MODELS = [("llama", "q4_0"), ("llama", "f32"), ("bloom", "q4_0"), ("bloom", "f32")]
SEEDS_PER_MODEL = 50


def write_damaged(source: Path, folder: Path, seed: int) -> Path:
    header_bytes = min(tensor.offset for tensor in GgufFile(str(source)).tensors())
    data, what = damaged(source.read_bytes(), header_bytes, seed)
    path = folder / f"{source.stem}-{seed}-{what}.gguf"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(("architecture", "type"), MODELS)
def test_randomly_damaged_files(
    small_model: SmallModel, tmp_path: Path, architecture: str, type: str
) -> None:
    pytest.importorskip("resource", reason="memory limits need POSIX")
    first = 1000 * MODELS.index((architecture, type))
    source = small_model(architecture, type)
    seeds = range(first, first + SEEDS_PER_MODEL)
    outcomes = outcomes_of_files([write_damaged(source, tmp_path, seed) for seed in seeds])
    counts = Counter(
        (command, "runs" if outcome == "runs" else "refused") for _, command, outcome in outcomes
    )
    print(f"\n{architecture} {type}: " + ", ".join(f"{c} {o} {n}" for (c, o), n in sorted(counts.items())))
    assert sum(counts.values()) == 2 * SEEDS_PER_MODEL
    # Both must happen, or the damage is not what this test is about.
    assert counts["generate", "refused"] >= SEEDS_PER_MODEL // 3
    assert counts["generate", "runs"] >= 3


@pytest.mark.parametrize("seed", range(10_000, 10_010))
def test_damaged_files_in_real_processes(
    small_model: SmallModel, tmp_path: Path, belle: Callable[..., Completed], seed: int
) -> None:
    path = write_damaged(small_model(*MODELS[seed % len(MODELS)]), tmp_path, seed)
    arguments = ("info", path) if seed % 3 == 0 else ("generate", path, "the dog", "--max-tokens", "2")
    done = belle(*arguments)
    assert done.returncode in (0, 1), done
    if done.returncode == 1:
        error_line(done.stderr, done)


def test_the_undamaged_files_run(small_model: SmallModel, belle: Callable[..., Completed]) -> None:
    for architecture, type in MODELS:
        done = belle("generate", small_model(architecture, type), "the dog", "--max-tokens", "2")
        assert (done.returncode, done.stderr) == (0, ""), done

"""Randomly damaged files through the commands that read them.

Of our converter's, which have checksums, `generate` and `verify` refuse each, `info` each whose header is damaged.
Others may run where the damage hit weight values or text that nothing depends on. A refusal is one line and a code that
is not 0: no traceback, no unexpected kind of error, no signal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from belle_edge._core import GgufFile
from belle_edge.errors import ModelFormatError

from .conftest import Completed, SmallModel
from .damage import damaged
from .outcomes import error_line, outcomes_of_files

pytestmark = pytest.mark.slow
MODELS = [("llama", "q4_0"), ("llama", "f32"), ("bloom", "q4_0"), ("bloom", "f32")]
COMMANDS = ("info", "verify", "generate")
SEEDS_PER_MODEL = 50


def write_damaged(source: Path, folder: Path, seed: int) -> Path:
    data, what = damaged(source.read_bytes(), GgufFile(str(source)).data_offset, seed)
    path = folder / f"{source.stem}-{seed}-{what}.gguf"
    path.write_bytes(data)
    return path


def header_is_damaged(source: Path, path: Path) -> bool:
    n_bytes = GgufFile(str(source)).data_offset
    return path.read_bytes()[:n_bytes] != source.read_bytes()[:n_bytes]


def write_many_damaged(source: Path, folder: Path, model: tuple[str, str]) -> list[Path]:
    first = 1000 * MODELS.index(model)
    return [write_damaged(source, folder, seed) for seed in range(first, first + SEEDS_PER_MODEL)]


@pytest.mark.parametrize(("architecture", "type"), MODELS)
def test_randomly_damaged_files(
    converted_model: SmallModel, tmp_path: Path, architecture: str, type: str
) -> None:
    pytest.importorskip("resource", reason="memory limits need POSIX")
    source = converted_model(architecture, type)
    paths = write_many_damaged(source, tmp_path, (architecture, type))
    outcomes = outcomes_of_files(paths, COMMANDS)
    counts = Counter(
        (command, "runs" if outcome == "runs" else "refused") for _, command, outcome in outcomes
    )
    print(f"\n{architecture} {type}: " + ", ".join(f"{c} {o} {n}" for (c, o), n in sorted(counts.items())))
    assert len(outcomes) == 3 * SEEDS_PER_MODEL
    ran = {(file, command) for file, command, outcome in outcomes if outcome == "runs"}
    intact_headers = {path.name for path in paths if not header_is_damaged(source, path)}
    assert {(file, command) for file, command in ran if command != "info"} == set()
    assert {file for file, _ in ran} <= intact_headers
    assert len(intact_headers) < SEEDS_PER_MODEL  # or the damage is not what this test is about
    for path in paths:
        path.unlink()


@pytest.mark.parametrize(("architecture", "type"), MODELS)
def test_randomly_damaged_foreign_files(
    small_model: SmallModel, tmp_path: Path, architecture: str, type: str
) -> None:
    """Their damage gets past the reader, to the tokenizer's tables and the weights."""
    pytest.importorskip("resource", reason="memory limits need POSIX")
    source = small_model(architecture, type)
    paths = write_many_damaged(source, tmp_path, (architecture, type))
    outcomes = outcomes_of_files(paths, COMMANDS)
    counts = Counter((command, outcome == "runs") for _, command, outcome in outcomes)
    assert sum(counts.values()) == 3 * SEEDS_PER_MODEL
    # Both must happen, or the damage is not what this test is about.
    assert counts["generate", False] >= SEEDS_PER_MODEL // 3
    assert counts["generate", True] >= 3


@pytest.mark.parametrize("seed", range(10_000, 10_010))
def test_damaged_files_in_real_processes(
    converted_model: SmallModel, tmp_path: Path, belle: Callable[..., Completed], seed: int
) -> None:
    source = converted_model(*MODELS[seed % len(MODELS)])
    path = write_damaged(source, tmp_path, seed)
    command = COMMANDS[seed % 3]
    done = belle(command, path, *(("the dog", "--max-tokens", "2") if command == "generate" else ()))
    assert done.returncode == 1 or (command == "info" and not header_is_damaged(source, path)), done
    if done.returncode == 1:
        error_line(done.stderr, done)


def test_more_damage_without_the_command_line(converted_model: SmallModel, tmp_path: Path) -> None:
    for seed in range(20_000, 20_500):
        path = write_damaged(converted_model(*MODELS[seed % len(MODELS)]), tmp_path, seed)
        with pytest.raises(ModelFormatError, match=path.name):
            GgufFile(str(path)).verify_data(threads=1)
        path.unlink()


def test_the_undamaged_files_run(converted_model: SmallModel, belle: Callable[..., Completed]) -> None:
    for architecture, type in MODELS:
        path = converted_model(architecture, type)
        done = belle("generate", path, "the dog", "--max-tokens", "2", "--raw")
        assert (done.returncode, done.stderr) == (0, ""), done
        done = belle("verify", path)
        assert (done.returncode, done.stderr) == (0, ""), done
        assert "every byte matches its checksum" in done.stdout

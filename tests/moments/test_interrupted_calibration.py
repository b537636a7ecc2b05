"""A calibration that is stopped goes on, and ends with the same bytes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from belle_edge.convert.moments.calibrate import calibrate
from belle_edge.convert.moments.hidden_states import states_path
from belle_edge.convert.progress import ConversionProgress
from belle_edge.errors import ConversionError

from .calibrations import TOKENS, kill_after, stop_after


@pytest.fixture(scope="module")
def expected(made: Path) -> bytes:
    return made.read_bytes()


def inputs_computed(llama: Path, out: Path, data: Path) -> list[str]:
    """What a resumed run computes; it must complete."""
    events: list[ConversionProgress] = []
    calibrate(llama, out, data=data, tokens=TOKENS, resume=True, progress=events.append)
    assert events[-1].done_bytes == events[-1].total_bytes
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    return [event.tensor for event in events]


@pytest.mark.parametrize(
    ("n_inputs", "first"),
    [
        (1, "blk.0.attn_q"),
        (4, "blk.0.attn_q"),
        (5, "blk.1.attn_q"),
        (11, "blk.2.attn_q"),
        (20, "blk.4.attn_q"),
        (21, "output"),
    ],
)
def test_it_goes_on_with_the_layer_that_it_was_at(
    llama: Path, data: Path, tmp_path: Path, expected: bytes, n_inputs: int, first: str
) -> None:
    out = tmp_path / "m.gguf"
    stop_after(llama, out, data, n_inputs)
    assert not out.exists()
    assert inputs_computed(llama, out, data)[0] == first
    assert out.read_bytes() == expected


@pytest.mark.slow
def test_killed_again_and_again(llama: Path, data: Path, tmp_path: Path, expected: bytes) -> None:
    out = tmp_path / "m.gguf"
    for n_inputs in (3, 6, 2, 9):
        kill_after(llama, out, data, n_inputs)
        assert not out.exists()
    calibrate(llama, out, data=data, tokens=TOKENS, resume=True)
    assert out.read_bytes() == expected
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


@pytest.mark.parametrize("damage", ["missing", "cut", "changed", "empty", "another"])
def test_states_that_are_none_are_computed_anew(
    llama: Path, data: Path, tmp_path: Path, expected: bytes, damage: str
) -> None:
    out = tmp_path / "m.gguf"
    states = states_path(out)
    stop_after(llama, out, data, 10)
    content = states.read_bytes()
    if damage == "another":
        other = tmp_path / "other" / "m.gguf"
        other.parent.mkdir()
        stop_after(llama, other, data, 14, imatrix_only=True)
        shutil.copy(states_path(other), states)
        shutil.rmtree(other.parent)
    elif damage == "missing":
        states.unlink()
    else:
        changed = content[:-1] + bytes([content[-1] ^ 1])
        states.write_bytes({"cut": content[:-4], "changed": changed, "empty": b""}[damage])
    assert inputs_computed(llama, out, data)[0] == "blk.0.attn_q"
    assert out.read_bytes() == expected


def test_an_interrupted_one_is_neither_forgotten_nor_mixed_up(
    llama: Path, data: Path, tmp_path: Path, expected: bytes
) -> None:
    out = tmp_path / "m.gguf"
    stop_after(llama, out, data, 10)
    with pytest.raises(ConversionError, match="an interrupted conversion: --resume goes on with it"):
        calibrate(llama, out, data=data, tokens=TOKENS)
    with pytest.raises(ConversionError, match="had another source or other options"):
        calibrate(llama, out, data=data, tokens=TOKENS - 1, resume=True)
    stop_after(llama, out, data, 6, force=True)
    calibrate(llama, out, data=data, tokens=TOKENS, force=True)
    assert out.read_bytes() == expected
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_states_that_are_no_file_of_ours_are_left_alone(llama: Path, data: Path, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("x")
    (tmp_path / "m.gguf.states").symlink_to(target)
    with pytest.raises(ConversionError, match="expected the states of a calibration, found a symbolic link"):
        calibrate(llama, tmp_path / "m.gguf", data=data, tokens=TOKENS)
    assert target.read_text() == "x"

"""`belle-edge verify`: sound, damaged and foreign files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from belle_edge._core import GgufFile
from belle_edge.verification import verify_file

Belle = Callable[..., Any]


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound file that another program wrote."""
    path = tmp_path_factory.mktemp("foreign") / "foreign.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tensor("a", np.zeros(40, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def damaged(source: Path, folder: Path, at: int) -> Path:
    data = bytearray(source.read_bytes())
    data[at] ^= 1
    path = folder / "damaged.gguf"
    path.write_bytes(data)
    return path


def test_a_sound_file(belle: Belle, model: Path) -> None:
    done = belle("verify", model)
    assert (done.returncode, done.stderr) == (0, "")
    file = GgufFile(str(model))
    assert file.checksums is not None
    n_chunks = file.checksums["n_chunks"]
    assert n_chunks > 2
    lines = done.stdout.splitlines()
    assert lines[0].startswith(model.name)
    assert (
        lines[1] == f"structure     sound: {len(file.keys())} metadata entries, {len(file.tensors())} tensors"
    )
    assert f"in {n_chunks} chunks of 1.0 MiB" in lines[3]
    assert lines[-1] == "every byte matches its checksum (xxh64)"


@pytest.mark.slow
def test_json(belle: Belle, model: Path, foreign: Path) -> None:
    report = json.loads(belle("verify", model, "--json", "--threads", "1").stdout)
    assert report["verified"] is True
    assert report["algorithm"] == "xxh64"
    assert report["header_bytes"] == GgufFile(str(model)).data_offset
    assert report["size_bytes"] == model.stat().st_size
    report = json.loads(belle("verify", foreign, "--json").stdout)
    assert (report["verified"], report["algorithm"], report["n_chunks"]) == (False, None, 0)


@pytest.mark.slow
def test_a_foreign_file(belle: Belle, foreign: Path) -> None:
    done = belle("verify", foreign)
    assert (done.returncode, done.stderr) == (0, "")
    expected = "this file carries no checksums (not written by belle-edge): only its structure was checked"
    assert done.stdout.splitlines()[-1] == expected
    cut = foreign.with_name("cut.gguf")
    cut.write_bytes(foreign.read_bytes()[:-64])
    done = belle("verify", cut)
    assert (done.returncode, done.stdout) == (1, "")
    assert "truncated" in done.stderr


@pytest.mark.slow
def test_damage(belle: Belle, converted: Any, tmp_path: Path) -> None:
    model = converted("large", "f32")  # whose matrices are larger than a chunk
    file = GgufFile(str(model))
    (tensor,) = (tensor for tensor in file.tensors() if tensor.name == "blk.3.ffn_up.weight")
    inside = tensor.offset + tensor.n_bytes // 2
    for at, text in ((file.data_offset // 2, "the header"), (inside, "'blk.3.ffn_up.weight'")):
        path = damaged(model, tmp_path, at)
        done = belle("verify", path)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        for part in ("damaged.gguf", text, "bytes ", "download or convert it again"):
            assert part in done.stderr


@pytest.mark.slow
def test_info_says_whether_there_are_checksums(
    belle: Belle, model: Path, foreign: Path, tmp_path: Path
) -> None:
    assert "checksums     xxh64; the header matches" in belle("info", model).stdout
    assert json.loads(belle("info", model, "--json").stdout)["checksums"]["algorithm"] == "xxh64"
    assert json.loads(belle("info", damaged(model, tmp_path, -1), "--json").stdout)["checksums"]
    done = belle("info", damaged(model, tmp_path, 1000))
    assert (done.returncode, done.stdout) == (1, "")
    assert "belle.checksum" not in belle("info", model, "--verbose").stdout


def test_the_progress_reaches_the_end(model: Path) -> None:
    steps: list[tuple[int, int]] = []
    report = verify_file(model, threads=2, progress=lambda done, total: steps.append((done, total)))
    assert steps[-1] == (report.size_bytes - report.header_bytes,) * 2


@pytest.mark.slow
def test_against_the_source(belle: Belle, checkpoint: Callable[[str], Path], converted: Any) -> None:
    path, source = converted("llama", "q8_0"), checkpoint("llama")
    done = belle("verify", path, "--against", source)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert "tokenizer     9 of 9 sample texts come back as they were, 9 with the source's ids" in lines
    (line,) = (line for line in lines if line.startswith("q8_0"))
    head, error = line.rsplit(maxsplit=1)
    assert head.endswith("tensors within the type's rounding, relative rms error up to")
    assert 0.005 < float(error) < 0.0065
    assert lines[-1] == "the file is what stories says"
    report = json.loads(belle("verify", path, "--against", source, "--json").stdout)
    assert (report["ok"], report["verified"], report["problems"]) == (True, True, [])
    assert len(report["against"]["tensors"]) == len(report["statistics"]) == report["n_tensors"]


@pytest.mark.slow
def test_another_source(belle: Belle, model: Path, checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    source = tmp_path / "twice"  # as the file's source, but for weights that are twice as large
    shutil.copytree(checkpoint("bloom"), source)
    tensors = load_file(source / "model.safetensors")
    save_file({name: 2 * tensor for name, tensor in tensors.items()}, source / "model.safetensors")
    done = belle("verify", model, "--against", source)
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert any(
        line.startswith("wrong: blk.0.attn_norm.weight: ") and "further from the source" in line
        for line in lines
    )
    assert lines[-1].endswith("more differences (--json lists all)")
    done = belle("verify", model, "--against", source, "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["ok"] is False
    done = belle("verify", model, "--against", model.parent / "nothing-here")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no such folder" in done.stderr


@pytest.mark.slow
def test_statistics_and_round_trip(belle: Belle, model: Path) -> None:
    done = belle("verify", model, "--statistics", "--round-trip")
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("  blk.3.ffn_down.weight"))
    assert line.split()[1] == "q4_0"
    assert len(line.split()) == 7
    assert "9 of 9 sample texts come back as they were" in done.stdout
    report = json.loads(belle("verify", model, "--statistics", "--json").stdout)
    assert (report["ok"], report["round_trip"], report["against"]) == (True, None, None)


def test_a_bar_on_a_terminal(command: list[str], model: Path) -> None:
    pytest.importorskip("termios", reason="pseudo-terminals need POSIX")
    from .pseudo_terminal import Terminal

    terminal = Terminal([*command, "verify", str(model)])
    try:
        terminal.wait_for("verifying")
        terminal.wait_for("every byte matches")
    finally:
        terminal.close()

"""Where a file is expected, a pipe, a socket, a device or a folder is named at once: nobody waits for a writer."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from belle_edge.regular_files import open_regular
from belle_edge.verification import verify_file

from .checkpoints import write_bloom
from .conftest import SmallModel
from .outcomes import outcomes_of_commands

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pipes as POSIX has them")
KINDS = {"pipe": "a pipe (FIFO)", "socket": "a socket", "device": "a device", "link": "a pipe (FIFO)"}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    folder = tmp_path_factory.mktemp("irregular")
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to(folder / "pipe")
    before = Path.cwd()
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(folder)  # the name of a socket has to be short
        try:
            server.bind("socket")
        finally:
            os.chdir(before)
        yield {
            "pipe": folder / "pipe",
            "link": folder / "link",
            "socket": folder / "socket",
            "device": Path("/dev/zero"),
        }


def commands(path: Path, checkpoint: Path, model: Path, out: Path) -> list[list[str]]:
    """Every command that reads files, with `path` in place of each."""
    name, source = str(path), str(checkpoint)
    to_file = ["-o", str(out)]
    return [
        ["info", name],
        ["verify", name],
        ["verify", str(model), "--against", name],
        ["identify", name],
        ["generate", name, "x"],
        ["generate", str(model), "--file", name],
        ["bench", name],
        ["convert", name, *to_file],
        ["convert", source, *to_file, "--tokenizer", name],
        ["convert", source, *to_file, "--key", name],
        ["convert", source, *to_file, "--lora", name],
        ["convert", source, *to_file, "--vocab-from", name],
        ["decrypt", name, "--key", name, *to_file],
        ["convert", source, "-o", name, "--force"],
        ["decrypt", source, "--key", name, "-o", name],
    ]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_in_place_of_any_file(
    kind: str, places: dict[str, Path], small_model: SmallModel, tmp_path: Path
) -> None:
    pytest.importorskip("resource", reason="memory limits need POSIX")
    checkpoint = write_bloom(tmp_path / "checkpoint")
    asked = commands(places[kind], checkpoint, small_model("bloom", "f32"), tmp_path / "out.gguf")
    outcomes = outcomes_of_commands(asked, timeout=60)
    for command, outcome in zip(asked, outcomes, strict=True):
        assert places[kind].name in outcome or "folder" in outcome, (command, outcome)
        assert KINDS[kind] in outcome or "no such folder" in outcome, (command, outcome)
    assert not (tmp_path / "out.gguf").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"]
)
def test_in_place_of_a_checkpoints_file(name: str, tmp_path: Path) -> None:
    checkpoint = write_bloom(tmp_path / "checkpoint")
    (checkpoint / name).unlink(missing_ok=True)
    os.mkfifo(checkpoint / name)
    asked = [["convert", str(checkpoint), "-o", str(tmp_path / "out.gguf")]]
    if name == "config.json":
        asked.append(["identify", str(checkpoint)])
    for outcome in outcomes_of_commands(asked, timeout=60):
        assert f"[{name}] expected a file, found a pipe (FIFO)" in outcome


@pytest.mark.slow
def test_in_place_of_an_adapters_file(tmp_path: Path) -> None:
    checkpoint = write_bloom(tmp_path / "checkpoint")
    for name in ("adapter_model.safetensors", "adapter_model.bin"):
        adapter = tmp_path / f"adapter-{name}"
        adapter.mkdir()
        os.mkfifo(adapter / name)
        command = ["convert", str(checkpoint), "-o", str(tmp_path / "out.gguf"), "--lora", str(adapter)]
        (outcome,) = outcomes_of_commands([command], timeout=60)
        assert f"[{name}] expected a file, found a pipe (FIFO)" in outcome


def test_a_prompt_that_the_shell_pipes(small_model: SmallModel) -> None:
    """`--file <(command)` and `--file /dev/stdin` are streams that are open already."""
    command = [sys.executable, "-m", "belle_edge", "generate", str(small_model("bloom", "f32")), "--raw"]
    done = subprocess.run(
        [*command, "--file", "/dev/stdin", "--max-tokens", "1"],
        input="ab",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, ""), done


def test_a_file_that_is_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with open_regular(tmp_path / "file") as file:
        assert file.read() == b"content"
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "none")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match=r"expected a file, found a pipe \(FIFO\)"):
        verify_file(tmp_path / "pipe")

"""Outputs that cannot be written, and conversions that fail: a clear error, and nothing half-written at the target."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from belle_edge.convert import convert
from belle_edge.errors import ConversionError

from .checkpoints import tensors_of, write_checkpoint, write_safetensors
from .conftest import Completed

needs_posix = pytest.mark.skipif(os.name != "posix", reason="POSIX file systems")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(
        tmp_path_factory.mktemp("source") / "checkpoint", hidden=256, n_layers=2, n_heads=4
    )


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """mounted("size=1m") → a folder with a file system of its own; needs root."""
    folder = tmp_path / "mounted"
    folder.mkdir()

    def mount(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", options, "belle-edge-test", str(folder)]
        if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode != 0:
            pytest.skip("mounting a file system needs root")
        return folder

    yield mount
    subprocess.run(["umount", str(folder)], capture_output=True)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.slow
def test_a_disk_that_is_too_small_is_refused_before_writing(
    mounted: Callable[[str], Path], checkpoint: Path, belle: Callable[..., Completed]
) -> None:
    folder = mounted("size=1m")
    done = belle("convert", checkpoint, "-o", folder / "out.gguf")
    assert done.returncode == 1
    assert "bytes of disk space" in done.stderr
    assert done.stderr.count("\n") == 1
    assert names(folder) == []


@pytest.mark.parametrize("older", [None, b"precious"])
def test_a_disk_that_fills_up_meanwhile(
    mounted: Callable[[str], Path], checkpoint: Path, tmp_path: Path, older: bytes | None
) -> None:
    folder = mounted("size=3m")
    if older is not None:
        (folder / "out.gguf").write_bytes(older)

    def fill(_: object) -> None:  # another program takes the rest
        with (folder / "other").open("ab") as file:
            file.write(bytes(300_000))

    with pytest.raises(
        OSError, match=r"No space left on device; --resume will go on with .* so far: free some space"
    ) as caught:
        convert(checkpoint, folder / "out.gguf", force=True, progress=fill)
    assert Path(caught.value.filename) in (folder / "out.gguf", folder / "other")
    assert set(names(folder)) - {"other"} == {"out.gguf.part", "out.gguf.journal"} | set(
        ["out.gguf"] if older else []
    )
    if older is not None:
        assert (folder / "out.gguf").read_bytes() == older
    (folder / "other").unlink()
    convert(checkpoint, folder / "out.gguf", force=True, resume=True)
    convert(checkpoint, tmp_path / "elsewhere.gguf")
    assert (folder / "out.gguf").read_bytes() == (tmp_path / "elsewhere.gguf").read_bytes()


def test_a_read_only_disk(
    mounted: Callable[[str], Path], checkpoint: Path, belle: Callable[..., Completed]
) -> None:
    folder = mounted("ro")
    done = belle("convert", checkpoint, "-o", folder / "out.gguf")
    assert done.returncode == 1
    assert "Read-only file system" in done.stderr
    assert "choose a folder that you may write to" in done.stderr
    assert "out.gguf" in done.stderr
    assert done.stderr.count("\n") == 1


@needs_posix
def test_a_folder_without_permission(checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o555)
    if os.access(folder, os.W_OK):
        pytest.skip("this user may write everywhere")
    with pytest.raises(PermissionError, match="choose a folder that you may write to"):
        convert(checkpoint, folder / "out.gguf")
    assert names(folder) == []


LIMITED = """
import resource, sys
from belle_edge.cli.main import main
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
sys.exit(main(["convert", *sys.argv[1:]]))
"""


@needs_posix
def test_a_limit_on_file_sizes(checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    command = [sys.executable, "-c", LIMITED, str(checkpoint), "-o", str(folder / "out.gguf"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done
    assert "File too large; nothing was written" in done.stderr
    assert "ulimit -f" in done.stderr
    assert done.stderr.count("\n") == 1
    assert names(folder) == []


@needs_posix
def test_devices_and_pipes_are_no_outputs(checkpoint: Path, tmp_path: Path) -> None:
    """Even with force: the rename at the end would replace the device itself."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ConversionError, match="regular file"):
        convert(checkpoint, pipe, force=True)
    assert pipe.is_fifo()


@pytest.mark.slow
def test_an_existing_output(checkpoint: Path, tmp_path: Path, belle: Callable[..., Completed]) -> None:
    out = tmp_path / "out.gguf"
    out.write_bytes(b"precious")
    done = belle("convert", checkpoint, "-o", out)
    assert (done.returncode, out.read_bytes()) == (1, b"precious")
    assert "--force" in done.stderr
    assert belle("convert", checkpoint, "-o", out, "--force", "--json").returncode == 0
    assert out.read_bytes()[:4] == b"GGUF"
    assert names(tmp_path) == ["out.gguf"]


@pytest.mark.slow
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf], ids=str)
@pytest.mark.parametrize("type", ["f32", "f16", "q4_0"])
def test_weights_that_are_not_finite(tmp_path: Path, checkpoint: Path, type: str, value: float) -> None:
    """In the last tensor that is written, when most of the output is on the disk."""
    source = tmp_path / "source"
    shutil.copytree(checkpoint, source)
    tensors = tensors_of(256, 2)
    tensors["model.layers.1.mlp.down_proj.weight"][-1, -1] = value
    write_safetensors(source / "model.safetensors", tensors)
    with pytest.raises(ConversionError, match=r"model\.layers\.1\.mlp\.down_proj\.weight") as caught:
        convert(source, tmp_path / "out.gguf", type=type)
    assert "model.safetensors" in str(caught.value)
    assert names(tmp_path) == ["source"]


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.model", "config.json"])
@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\nsize 1\n", b"<html>"])
def test_files_of_a_checkpoint_that_are_not_there_yet(
    tmp_path: Path, checkpoint: Path, name: str, content: bytes
) -> None:
    source = tmp_path / "source"
    shutil.copytree(checkpoint, source)
    (source / name).write_bytes(content)
    with pytest.raises(ConversionError) as caught:
        convert(source, tmp_path / "out.gguf")
    assert name in str(caught.value)
    assert names(tmp_path) == ["source"]


def test_a_missing_tensor(tmp_path: Path, checkpoint: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(checkpoint, source)
    tensors = tensors_of(256, 2)
    del tensors["model.layers.1.self_attn.k_proj.weight"]
    write_safetensors(source / "model.safetensors", tensors)
    with pytest.raises(ConversionError, match=r"layers\.1\.self_attn\.k_proj\.weight is missing"):
        convert(source, tmp_path / "out.gguf")
    assert names(tmp_path) == ["source"]

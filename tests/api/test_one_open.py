"""A load opens its file once: what the memory check saw, the metadata and the weights are one file's, whatever happens
to its name meanwhile."""

from __future__ import annotations

import ctypes
import os
import shutil
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import belle_edge
from belle_edge import memory
from belle_edge._core import GgufFile, Model
from belle_edge.cli.main import main
from belle_edge.errors import ModelFormatError

from ..gguf.split import split
from .tiny_models import write_tiny_model

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="counts with inotify and /proc")

IN_OPEN, IN_CLOSE = 0x20, 0x08 | 0x10


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path / "model.gguf", "llama")


@contextmanager
def opens_of(path: Path) -> Iterator[list[int]]:
    """The list gets one entry when the block ends: how often anything in this process or another opened the file.

    The kernel counts. It joins two opens with nothing between them, so files that stay open are counted beside it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    watcher = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    assert libc.inotify_add_watch(watcher, os.fsencode(path), IN_OPEN | IN_CLOSE) >= 0
    found: list[int] = []
    try:
        yield found
        data = os.read(watcher, 1 << 16)
        masks = [mask for _, mask, _, _ in struct.iter_unpack("iIII", data)]
        found.append(sum(mask & IN_OPEN != 0 for mask in masks))
    finally:
        os.close(watcher)


def open_now(path: Path) -> int:
    """Descriptors of this process for the file."""
    wanted, found = path.stat(), 0
    for name in os.listdir("/proc/self/fd"):
        try:
            status = os.stat(f"/proc/self/fd/{name}")
        except OSError:  # that of the listing
            continue
        found += (status.st_dev, status.st_ino) == (wanted.st_dev, wanted.st_ino)
    return found


@linux_only
@pytest.mark.parametrize("memory_check", [True, False])
def test_a_load_opens_its_file_once(path: Path, memory_check: bool) -> None:
    with (
        opens_of(path) as opens,
        belle_edge.Belle.load(path, threads=1, memory_check=memory_check) as model,
    ):
        assert open_now(path) == 1  # the metadata's
        assert model.logits([3, 4]).shape[0] == 2
    assert opens == [1]


@linux_only
@pytest.mark.parametrize("extra", [[], ["--family", "belle"]])
def test_a_command_opens_its_file_once(
    path: Path, extra: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with opens_of(path) as opens:
        status = main(["generate", str(path), "1", "--raw" if not extra else "-q", "-n", "2", *extra])
    assert status == 0, capsys.readouterr().err
    assert opens == [1]


@linux_only
def test_the_count_sees_every_open(path: Path) -> None:
    with opens_of(path) as opens:
        for _ in range(3):
            path.read_bytes()
    assert opens == [3]


@linux_only
@pytest.mark.parametrize("number", range(3))
def test_each_part_of_a_split_model_is_opened_once(path: Path, tmp_path: Path, number: int) -> None:
    parts = split(path, tmp_path)
    with opens_of(parts[number]) as opens:
        file = GgufFile(str(parts[0]))
        assert Model(file, threads=1).config["architecture"] == "llama"
    assert opens == [1]


@linux_only
def test_llama_cpp_reads_the_header_through_the_open_file(path: Path, llama_cpp: Any) -> None:
    """Its own opens are its library's, the same as without this package."""
    from belle_edge.backends.llama_library import import_library

    library = import_library()
    with opens_of(path) as alone:
        library.api.llama_model_free(library.load_model(path, extra_buffers=False))
    with (
        opens_of(path) as opens,
        belle_edge.Belle.load(path, backend="llama.cpp", threads=1),
    ):
        pass
    fingerprint = 1  # of saved states: size, beginning and end
    assert opens[0] <= alone[0] + 1 + fingerprint


def when_memory_is_checked(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> list[object]:
    """`act` is called when the file is open and nothing is loaded yet."""
    done: list[object] = []
    measured = memory.available_memory

    def then(*arguments: Any) -> memory.Available | None:
        done.append(act())
        return measured(*arguments)

    monkeypatch.setattr(memory, "available_memory", then)
    return done


posix_only = pytest.mark.skipif(os.name != "posix", reason="Windows replaces no file that is open")


@posix_only
def test_nothing_opens_the_path_after_the_first_look(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that is gone could not be opened again."""
    with belle_edge.Belle.load(path, threads=1) as model:
        expected = model.generate("ab", max_tokens=4, temperature=0).text
    done = when_memory_is_checked(monkeypatch, path.unlink)
    with belle_edge.Belle.load(path, threads=1) as model:
        assert model.generate("ab", max_tokens=4, temperature=0).text == expected
    assert len(done) == 1


@pytest.mark.slow
@posix_only
@pytest.mark.parametrize("backend", ["native", "llama.cpp"])
def test_two_files_are_never_mixed(path: Path, backend: str, request: pytest.FixtureRequest) -> None:
    """Replaced between the check and the load: the native engine runs the old one, llama.cpp's load is refused."""
    if backend == "llama.cpp":
        request.getfixturevalue("llama_cpp")
    monkeypatch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
    newer = write_tiny_model(path.with_name("newer.gguf"), "bloom")
    done = when_memory_is_checked(monkeypatch, lambda: os.replace(shutil.copy(newer, f"{newer}.part"), path))
    if backend == "llama.cpp":
        with pytest.raises(
            ModelFormatError, match=r"model\.gguf: the file was replaced while it was being loaded"
        ):
            belle_edge.Belle.load(path, backend=backend, threads=1)
    else:
        with belle_edge.Belle.load(path, backend=backend, threads=1) as model:
            assert model.config["architecture"] == "llama"
            assert model.chat_format.family == "belle-llama"
    assert len(done) == 1

"""A model file that is cut, rewritten or replaced while it is mapped: an error or no effect, never a dead process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import belle_edge
from belle_edge._core import GgufFile
from belle_edge.errors import ModelFormatError

from ..gguf.checksummed import with_checksums
from ..model.gguf_models import random_llama
from .conftest import SmallModel

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows lets nobody write to a mapped file")

Change = Callable[[Path], None]


def cut(path: Path) -> None:
    os.truncate(path, 100)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def extend(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def rewrite(path: Path) -> None:
    """Other bytes, the same size."""
    n_bytes = path.stat().st_size
    with path.open("r+b") as file:
        file.write(bytes(n_bytes))
    os.utime(path, ns=(1, 1))  # whatever the clock's resolution


CHANGES: dict[str, Change] = {"cut": cut, "empty": empty, "extend": extend, "rewrite": rewrite}


@pytest.fixture
def path(small_model: SmallModel, tmp_path: Path) -> Path:
    return Path(shutil.copyfile(small_model("llama", "q4_0"), tmp_path / "model.gguf"))


@pytest.mark.parametrize("change", CHANGES)
def test_an_open_file_that_changes(path: Path, change: str) -> None:
    file = GgufFile(str(path))
    CHANGES[change](path)
    reads: list[Callable[[], object]] = [
        lambda: file["tokenizer.ggml.tokens"],
        lambda: file.get("general.name"),
        lambda: file.tensor_bytes("output.weight"),
    ]
    for read in reads:
        with pytest.raises(ModelFormatError, match="changed while it was in use") as caught:
            read()
        assert "model.gguf" in str(caught.value)
        assert "load it again" in str(caught.value)
    # What was read when the file was opened needs the mapping no more.
    assert "general.name" in file
    assert file.array_length("tokenizer.ggml.tokens") == 301
    assert "output.weight" in {tensor.name for tensor in file.tensors()}


@pytest.mark.parametrize("change", CHANGES)
def test_a_loaded_model_does_not_need_its_file(path: Path, change: str) -> None:
    with belle_edge.Belle.load(path) as model:
        before = model.generate("the dog", max_tokens=5, temperature=0)
        CHANGES[change](path)
        assert model.generate("the dog", max_tokens=5, temperature=0).text == before.text
        assert model.detokenize(model.tokenize("你好")) == "你好"


def test_a_file_replaced_by_renaming(path: Path, small_model: SmallModel) -> None:
    """The mapping keeps the old file, so everything can still be read, also what was not touched before."""
    expected = path.read_bytes()
    file = GgufFile(str(path))
    with belle_edge.Belle.load(path) as model:
        answer = model.generate("the dog", max_tokens=5, temperature=0).text
        newer = path.with_name("new.gguf")
        shutil.copyfile(small_model("bloom", "f32"), newer)
        os.replace(newer, path)
        (info,) = [each for each in file.tensors() if each.name == "output.weight"]
        assert (
            file.tensor_bytes("output.weight").tobytes() == expected[info.offset : info.offset + info.n_bytes]
        )
        assert file["general.architecture"] == "llama"
        assert model.generate("the dog", max_tokens=5, temperature=0).text == answer
    with belle_edge.Belle.load(path) as model:
        assert model.config["architecture"] == "bloom"


def test_a_deleted_file(path: Path) -> None:
    file = GgufFile(str(path))
    path.unlink()
    assert file["general.architecture"] == "llama"


# Opens, reads and loads while another thread writes the file again and again in place, as a careless download does.
RACE = """
import sys, threading, time
from belle_edge._core import GgufFile, Model
source, target = sys.argv[1:]
data = open(source, "rb").read()
stop = threading.Event()
def writer():
    with open(target, "r+b", buffering=0) as file:  # never shorter: a cut during a read is what no check can rule out
        while not stop.is_set():
            file.seek(1000)
            file.write(b"\\xff" * (len(data) - 1000))
            file.seek(1000)
            file.write(data[1000:])
            time.sleep(0.0005)
thread = threading.Thread(target=writer)
thread.start()
loaded = refused = 0
for turn in range(1500):
    try:
        if turn % 2:
            Model(target)
        else:
            file = GgufFile(target)
            for key in file.keys():
                file[key]
        loaded += 1
    except ValueError:
        refused += 1
stop.set()
thread.join()
print(loaded, refused)
"""


@pytest.mark.slow
def test_a_file_rewritten_while_it_is_loaded(path: Path, small_model: SmallModel) -> None:
    source = small_model("llama", "q4_0")
    done = subprocess.run(
        [sys.executable, "-c", RACE, str(source), str(path)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, (done.returncode, done.stderr)
    loaded, refused = map(int, done.stdout.split())
    assert loaded + refused == 1500
    assert refused > 0


# Cuts the file behind its header at some moment of the load.
CUT = """
import os, shutil, sys, threading, time
from belle_edge._core import GgufFile, Model
source, target = sys.argv[1:]
keep = GgufFile(source).data_offset + 5000
loaded = refused = 0
for turn in range(60):
    shutil.copyfile(source, target)
    thread = threading.Timer(turn * 0.0005, lambda: os.truncate(target, keep))
    thread.start()
    try:
        Model(target, threads=2)
        loaded += 1
    except ValueError as error:
        reasons = "changed while it was in use", "ends past the end", "truncated"
        assert any(reason in str(error) for reason in reasons), error
        refused += 1
    thread.join()
print(loaded, refused)
"""


@pytest.mark.slow
@pytest.mark.parametrize("checksums", [False, True])
def test_a_file_cut_while_it_is_loaded(tmp_path: Path, checksums: bool) -> None:
    source = random_llama(hidden=512, feed_forward=2048).write(tmp_path / "source.gguf", "f32")
    if checksums:
        with_checksums(source)
    command = [sys.executable, "-c", CUT, str(source), str(tmp_path / "model.gguf")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, (done.returncode, done.stderr)
    loaded, refused = map(int, done.stdout.split())
    assert loaded + refused == 60
    assert refused > 0

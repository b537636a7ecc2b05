"""Paths that are not UTF-8: every command takes them, and messages show them without breaking."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import belle_edge
from belle_edge import Belle
from belle_edge._core import GgufFile
from belle_edge.verification import verify_contents, verify_file

pytestmark = pytest.mark.slow
DEMO = Path(belle_edge.__file__).parent / "demo" / "checkpoint"
NAME = b"belle-mod\xe8le"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A folder whose own name is Latin-1, with a checkpoint and its conversion in it."""
    if sys.platform in ("win32", "darwin"):
        pytest.skip("names are Unicode there")
    place = os.path.join(os.fsencode(tmp_path_factory.mktemp("odd")), b"dossi\xe9")
    os.mkdir(place)
    source = os.path.join(place, NAME)
    shutil.copytree(os.fsencode(DEMO), source)
    done = run(b"convert", source, b"-o", os.path.join(place, NAME + b".gguf"), b"--type", b"q4_0")
    assert done.returncode == 0, done.stderr
    return place


def run(*arguments: bytes) -> subprocess.CompletedProcess[bytes]:
    command = [os.fsencode(sys.executable), b"-m", b"belle_edge.cli.main"]
    return subprocess.run([*command, *arguments], capture_output=True, timeout=120, input=b"")


@pytest.mark.parametrize(
    "words",
    [
        "info MODEL",
        "info MODEL --json",
        "info MODEL --verbose",
        "verify MODEL",
        "verify MODEL --json",
        "verify MODEL --against SOURCE",
        "generate MODEL ab --raw --max-tokens 1",
        "identify SOURCE",
        "identify MODEL",
        "generate MODEL ab --max-tokens 1 --json",
        "chat MODEL --max-tokens 1",
        "convert SOURCE --dry-run",
        "convert SOURCE -o COPY --force",
        "convert SOURCE -o COPY --force --json",
        "convert SOURCE/config.json -o COPY",
        "info MISSING",
        "verify MISSING",
        "generate MISSING ab",
        "convert MISSING -o COPY",
        "info SOURCE",
        "decrypt SOURCE --key MISSING -o COPY",
    ],
)
def test_every_command(folder: bytes, words: str) -> None:
    names = {
        b"MODEL": NAME + b".gguf",
        b"SOURCE": NAME,
        b"MISSING": b"abs\xe8nt.gguf",
        b"COPY": b"c\xf4py.gguf",
    }
    arguments = []
    for word in words.encode().split():
        head, _, tail = word.partition(b"/")
        path = os.path.join(folder, names[head]) if head in names else head
        arguments.append(os.path.join(path, tail) if tail else path)
    done = run(*arguments)
    text = done.stdout + done.stderr
    text.decode("utf-8")  # what comes out is always UTF-8
    wrong = any(word in words for word in ("MISSING", "config.json", "identify MODEL", "decrypt"))
    assert done.returncode == int(wrong), text
    for part in (b"Traceback", b"TypeError", b"UnicodeEncodeError", b"incompatible", b"surrogate"):
        assert part not in text


def test_python(folder: bytes) -> None:
    path = Path(os.fsdecode(os.path.join(folder, NAME + b".gguf")))
    for form in (path, str(path)):
        with Belle.load(form) as model:
            assert model.path == path
            assert len(model.generate("ab", raw=True, max_tokens=1).token_ids) == 1
    assert GgufFile(path).path == str(path)
    assert verify_file(path).verified
    assert verify_contents(path, against=path.with_suffix("")).ok
    with pytest.raises(OSError, match="No such file") as caught:
        GgufFile(str(path) + "x")
    assert caught.value.filename == str(path) + "x"


def test_a_damaged_file(folder: bytes) -> None:
    path = os.path.join(folder, b"bris\xe9.gguf")
    with open(os.path.join(folder, NAME + b".gguf"), "rb") as whole, open(path, "wb") as part:
        part.write(whole.read()[:-1])
    done = run(b"generate", path, b"ab")
    assert done.returncode == 1
    assert b"bris\\xe9.gguf" in done.stderr
    assert b"truncated" in done.stderr

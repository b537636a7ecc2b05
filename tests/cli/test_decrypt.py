"""`belle-edge decrypt`: the files as they were, whole or not at all."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from belle_edge.convert import decryption
from belle_edge.errors import ConversionError

from ..convert.encryption import encrypt_folder, encrypted, encrypted_name, published, random_bytes

pytestmark = pytest.mark.slow
Run = Callable[..., "subprocess.CompletedProcess[str]"]
CONTENTS = {
    "config.json": b'{"model_type": "llama"}',
    "tokenizer.model": random_bytes(30_000, seed=3),
    "pytorch_model.bin": random_bytes(2_000_000, seed=4),
    "empty.txt": b"",
}


class Case(NamedTuple):
    """An encrypted folder, its key, and a place for the result."""

    source: Path
    key: Path
    out: Path


@pytest.fixture
def case(tmp_path: Path) -> Case:
    plain, key = tmp_path / "plain", tmp_path / "consolidated.00.pth"
    plain.mkdir()
    for name, content in CONTENTS.items():
        (plain / name).write_bytes(content)
    (plain / "README.md").write_text("as it is")
    key.write_bytes(random_bytes(77_777))
    source = encrypt_folder(
        plain, tmp_path / "encrypted", key.read_bytes(), chosen=lambda name: name != "README.md"
    )
    return Case(source, key, tmp_path / "out")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_folder(case: Case, belle: Run) -> None:
    done = belle("decrypt", case.source, "--key", case.key, "-o", case.out)
    assert done.returncode == 0, done.stderr
    assert contents(case.out) == CONTENTS
    assert "not encrypted, left in" in done.stdout
    assert "README.md" in done.stdout
    assert "the key has 77,777 bytes" in done.stderr


def test_one_file_and_json(case: Case, belle: Run) -> None:
    path = published(case.source, "tokenizer.model")
    done = belle("decrypt", path, "--key", case.key.parent, "-o", case.out / "deep", "--json", "-q")
    assert (done.returncode, done.stderr) == (0, "")
    assert contents(case.out / "deep") == {"tokenizer.model": CONTENTS["tokenizer.model"]}
    (file,) = json.loads(done.stdout)["files"]
    assert (file["name"], file["size_bytes"], file["was_there"]) == ("tokenizer.model", 30_000, False)
    assert file["sha256"] in path.name


def test_complete_files_are_left_alone(case: Case, belle: Run) -> None:
    arguments = ("decrypt", case.source, "--key", case.key, "-o", case.out, "--json")
    belle(*arguments)
    written = (case.out / "pytorch_model.bin").stat().st_mtime_ns
    (case.out / "config.json").unlink()
    report = json.loads(belle(*arguments).stdout)
    assert {file["name"] for file in report["files"] if not file["was_there"]} == {"config.json"}
    assert (case.out / "pytorch_model.bin").stat().st_mtime_ns == written


@pytest.mark.parametrize(
    "left", [b"", CONTENTS["config.json"][:-1] + b"?"], ids=["zero bytes", "other bytes"]
)
def test_other_content_is_replaced_with_force_only(case: Case, belle: Run, left: bytes) -> None:
    case.out.mkdir()
    (case.out / "config.json").write_bytes(left)
    arguments = ("decrypt", case.source, "--key", case.key, "-o", case.out)
    refused = belle(*arguments)
    assert refused.returncode == 1
    assert "config.json] exists with other content; --force" in refused.stderr
    assert contents(case.out) == {"config.json": left}
    assert belle(*arguments, "--force").returncode == 0
    assert contents(case.out) == CONTENTS


def test_a_wrong_hash_leaves_nothing_of_the_file(case: Case, belle: Run) -> None:
    path = published(case.source, "pytorch_model.bin")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    done = belle("decrypt", case.source, "--key", case.key, "-o", case.out, "-q")
    assert done.returncode == 1
    assert done.stderr.startswith(f"belle-edge: error: [{path.name}] ")
    assert done.stderr.count("\n") == 1
    assert sorted(contents(case.out)) == ["config.json", "empty.txt", "tokenizer.model"]


def test_refusals(case: Case, belle: Run, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pth"
    wrong.write_bytes(random_bytes(77_777, seed=9))
    (tmp_path / "nothing").mkdir()
    for source, key, out, message in (
        (case.source, wrong, case.out, "wrong key"),
        (case.source, tmp_path / "none.pth", case.out, "no such key file"),
        (tmp_path / "nothing", case.key, case.out, "no encrypted files"),
        (tmp_path / "missing", case.key, case.out, "no such file or folder"),
        (case.source / "README.md", case.key, case.out, "this file is not encrypted"),
        (case.source, case.key, wrong, "expected a folder for the output"),
    ):
        done = belle("decrypt", source, "--key", key, "-o", out, "-q")
        assert done.returncode == 1
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
    assert not case.out.exists()
    assert belle("decrypt", case.source, "-o", case.out).returncode == 2


@pytest.mark.filterwarnings("ignore:.*the key has")
def test_too_little_space(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(case.source)
    monkeypatch.setattr(decryption.shutil, "disk_usage", lambda path: usage._replace(free=2_000_000))
    with pytest.raises(ConversionError, match=r"needs 2,030,023 bytes of disk space, 2,000,000 are free"):
        decryption.decrypt(case.source, case.out, key=case.key)
    assert contents(case.out) == {}


def test_interrupted(case: Case, command: list[str]) -> None:
    """Ctrl-C while a large file is written: what was complete stays, the rest goes."""
    plain = bytes(400_000_000)
    large = case.source / encrypted_name("zzz.bin", plain)
    large.write_bytes(encrypted(plain, case.key.read_bytes()))
    arguments = ["decrypt", str(case.source), "--key", str(case.key), "-o", str(case.out), "-q"]
    process: subprocess.Popen[Any] = subprocess.Popen(
        [*command, *arguments], stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and not (case.out / "zzz.bin.part").exists():
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    large.unlink()
    assert process.returncode == 130, errors
    assert "interrupted; complete files stay" in errors
    assert contents(case.out) == CONTENTS


@pytest.mark.parametrize("name", ["key", "source"])
@pytest.mark.parametrize("link", ["symlink", "hard link"])
def test_neither_key_nor_source_is_replaced(case: Case, belle: Run, name: str, link: str) -> None:
    read = case.key if name == "key" else next(case.source.glob("pytorch_model.bin.*.enc"))
    before = read.read_bytes()
    case.out.mkdir()
    target = case.out / "pytorch_model.bin"
    target.symlink_to(read) if link == "symlink" else target.hardlink_to(read)
    done = belle("decrypt", case.source, "--key", case.key, "-o", case.out, "--force")
    assert done.returncode == 1
    assert "is a file that is read here" in done.stderr
    assert [path.name for path in case.out.iterdir()] == ["pytorch_model.bin"]
    assert read.read_bytes() == before


def test_nothing_is_decrypted_through_a_link(case: Case, belle: Run) -> None:
    case.out.mkdir()
    precious = case.out.parent / "precious"
    precious.write_bytes(b"precious")
    (case.out / "pytorch_model.bin.part").symlink_to(precious)
    (case.out / "config.json").symlink_to(precious)
    assert belle("decrypt", case.source, "--key", case.key, "-o", case.out).returncode == 1
    done = belle("decrypt", case.source, "--key", case.key, "-o", case.out, "--force")
    assert "expected the partial file of a conversion, found a symbolic link" in done.stderr
    (case.out / "pytorch_model.bin.part").unlink()
    done = belle("decrypt", case.source, "--key", case.key, "-o", case.out, "--force")
    assert done.returncode == 0, done.stderr
    assert contents(case.out) == CONTENTS
    assert precious.read_bytes() == b"precious"

"""Wrong keys and damaged encrypted files: each has its message, and nothing is left behind."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from belle_edge.convert import convert
from belle_edge.convert.sources import key_file
from belle_edge.convert.sources.key_file import KeyFile
from belle_edge.errors import ConversionError

from ..hub.stand_in import serve
from .encryption import encrypt_folder, published, random_bytes

pytestmark = pytest.mark.filterwarnings("ignore:.*the key has")
LFS_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 123\n"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "consolidated.00.pth"
    path.write_bytes(random_bytes(54_321))
    return path


@pytest.fixture
def plain(make_llama: Any) -> Path:
    """A folder whose weights are a .bin file."""
    import torch
    from safetensors.torch import load_file

    folder: Path = make_llama("BELLE-LLaMA-7B-2M-enc")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return folder


@pytest.fixture
def folder(plain: Path, tmp_path: Path, key: Path) -> Path:
    return encrypt_folder(plain, tmp_path / "encrypted" / plain.name, key.read_bytes())


def message_of(folder: Path, out: Path, **options: Any) -> str:
    """The error of a conversion, which leaves nothing behind."""
    with pytest.raises(ConversionError) as caught:
        convert(folder, out, **options)
    assert not list(out.parent.glob(f"{out.name}*"))
    return str(caught.value)


def change(path: Path, edit: Callable[[bytearray], bytearray | bytes | str]) -> None:
    result = edit(bytearray(path.read_bytes()))
    path.write_bytes(result.encode() if isinstance(result, str) else result)


def flipped(offset: int) -> Callable[[bytearray], bytearray]:
    def edit(content: bytearray) -> bytearray:
        content[offset] ^= 1
        return content

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (flipped(50_000), "the decrypted content has the SHA-256 .* cut off or damaged"),
        (flipped(5), "renamed or damaged: the hash in it is"),
        (lambda content: content[:-20_000], "cut off: its end is missing"),
        (lambda content: content[:40], "cut off or damaged|cut off: its end is missing"),
        (lambda content: content[:32], "damaged: it does not begin as weights do"),
        (lambda content: content[:20], "cut off: 20 bytes"),
        (lambda content: b"", r"empty \(0 bytes\)"),
        (lambda content: LFS_POINTER, "Git LFS pointer.*git lfs pull"),
    ],
    ids=[
        "payload",
        "stored hash",
        "truncated",
        "start only",
        "hash only",
        "below the hash",
        "empty",
        "pointer",
    ],
)
def test_damaged_weights(folder: Path, tmp_path: Path, key: Path, edit: Any, message: str) -> None:
    path = published(folder, "pytorch_model.bin")
    change(path, edit)
    text = message_of(folder, tmp_path / "out.gguf", key=key)
    assert text.startswith(f"[{path.name}] ")
    assert re.search(message, text), text


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (flipped(40), "cut off or damaged: other files can be decrypted with this key"),
        (lambda content: content[:-5], "cut off or damaged: other files can be decrypted with this key"),
        (lambda content: LFS_POINTER, "Git LFS pointer"),
        (lambda content: b"", r"empty (0 bytes)"),
    ],
)
def test_a_damaged_small_file_is_not_a_wrong_key(
    folder: Path, tmp_path: Path, key: Path, edit: Any, message: str
) -> None:
    path = published(folder, "config.json")
    change(path, edit)
    text = message_of(folder, tmp_path / "out.gguf", key=key)
    assert text.startswith(f"[{path.name}] ")
    assert message in text


def test_damage_that_makes_a_value_infinite_is_a_wrong_hash(
    plain: Path, folder: Path, tmp_path: Path, key: Path
) -> None:
    """The conversion meets the value before the end of the file, where the hash is compared."""
    content = (plain / "pytorch_model.bin").read_bytes()
    start = 60_000 // 64 * 64  # storages start at multiples of 64 bytes; a float32 of some matrix

    def make_infinite(encrypted: bytearray) -> bytearray:
        for index, wanted in enumerate((0x00, 0x00, 0x80, 0x7F)):
            encrypted[32 + start + index] ^= content[start + index] ^ wanted
        return encrypted

    change(published(folder, "pytorch_model.bin"), make_infinite)
    message = message_of(folder, tmp_path / "out.gguf", key=key)
    assert "the decrypted content has the SHA-256" in message
    assert "infinity" not in message


def test_wrong_key(folder: Path, tmp_path: Path, key: Path) -> None:
    wrong = tmp_path / "wrong.pth"
    wrong.write_bytes(random_bytes(54_321, seed=9))
    published(folder, "pytorch_model.bin").unlink()  # a wrong key is found before weights are looked at
    text = message_of(folder, tmp_path / "out.gguf", key=wrong)
    assert text.startswith("[wrong.pth] wrong key: ")
    assert "config.json" in text
    assert "consolidated.00.pth of Meta's original LLaMA-7B (13,476,939,516 bytes" in text
    assert "13B" not in text


def test_a_wrong_key_that_begins_as_the_right_one(folder: Path, tmp_path: Path, key: Path) -> None:
    """As torch files of other LLaMAs do: the smallest files are decrypted, and prove nothing."""
    n_bytes = published(folder, "generation_config.json").stat().st_size
    wrong = tmp_path / "wrong.pth"
    wrong.write_bytes(key.read_bytes()[:n_bytes] + random_bytes(50_000, seed=9))
    text = message_of(folder, tmp_path / "out.gguf", key=wrong)
    assert "[wrong.pth] wrong key, or tokenizer.model, config.json damaged" in text


@pytest.mark.parametrize(
    ("name", "other"), [("BELLE-LLaMA-13B-2M-enc", True), ("BELLE-LLaMA-EXT-13B", False)]
)
def test_the_key_of_a_13b_model(folder: Path, tmp_path: Path, name: str, other: bool) -> None:
    folder = folder.rename(folder.with_name(name))
    assert ("consolidated.01.pth of LLaMA-13B" in message_of(folder, tmp_path / "out.gguf")) == other


def test_wrong_key_where_only_weights_are_encrypted(plain: Path, tmp_path: Path, key: Path) -> None:
    folder = encrypt_folder(
        plain, tmp_path / "weights", key.read_bytes(), chosen=lambda name: name.endswith(".bin")
    )
    key.write_bytes(random_bytes(54_321, seed=9))
    text = message_of(folder, tmp_path / "out.gguf", key=key)
    assert "does not begin as weights do, or the key is cut off or wrong: that should be consolidated" in text


def test_a_key_that_is_right_at_its_start_only(folder: Path, tmp_path: Path, key: Path) -> None:
    """The small files and the end of the weights decrypt; what lies between does not."""
    change(key, flipped(40_000))
    text = message_of(folder, tmp_path / "out.gguf", key=key)
    assert f"md5 {KeyFile(key).md5}, not 6efc8dab194ab59e49cd24be5574d85e" in text


def test_a_sound_key_is_not_blamed(
    folder: Path, tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = key_file.Original("LLaMA-7B", key.name, KeyFile(key).md5, key.stat().st_size)
    monkeypatch.setattr(key_file, "LLAMA_7B", original)
    monkeypatch.setattr(key_file, "ORIGINALS", (original,))
    change(published(folder, "pytorch_model.bin"), flipped(50_000))
    text = message_of(folder, tmp_path / "out.gguf", key=key)
    assert "the key is consolidated.00.pth of LLaMA-7B as Meta published it" in text


def test_no_key(folder: Path, plain: Path, tmp_path: Path) -> None:
    needed = "--key: consolidated.00.pth of Meta's original LLaMA-7B"
    assert needed in message_of(folder, tmp_path / "out.gguf")
    assert needed in message_of(published(folder, "pytorch_model.bin"), tmp_path / "out.gguf")
    shutil.copy(plain / "config.json", folder)
    assert needed in message_of(folder, tmp_path / "out.gguf")


def test_two_files_of_one_name(folder: Path, tmp_path: Path, key: Path) -> None:
    path = published(folder, "config.json")
    other = folder / f"config.json.{'0' * 64}.enc"
    shutil.copy(path, other)
    text = message_of(folder, tmp_path / "out.gguf", key=key)
    assert path.name in text
    assert other.name in text


def test_renamed_file(folder: Path, tmp_path: Path, key: Path) -> None:
    published(folder, "config.json").rename(folder / "config.json.enc")
    text = message_of(folder, tmp_path / "out.gguf", key=key)
    assert "[config.json.enc] expected a name of the form NAME.<SHA-256>.enc" in text
    text = message_of(folder / "config.json.enc", tmp_path / "out.gguf", key=key)
    assert "give it its published name again" in text


def make_no_key(kind: str, place: Path, plain: Path) -> Path:
    """Something that users take for the key."""
    if kind == "folder":
        return place
    if kind == "Hugging Face folder":
        return plain
    if kind == "Hugging Face weights":
        return plain / "pytorch_model.bin"
    contents = {"empty": "", "pointer": LFS_POINTER, "gguf": "GGUF....", "safetensors": "12345678{}"}
    path = place / ("key.pth.0.enc" if kind == "encrypted" else "consolidated.00.pth")
    if kind != "missing":
        path.write_text(contents.get(kind, "anything"))
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "no such key file"),
        ("folder", "a folder without consolidated.00.pth"),
        ("Hugging Face folder", "weights in Hugging Face's layout without consolidated.00.pth"),
        ("Hugging Face weights", "weights in Hugging Face's layout, not the key"),
        ("empty", "empty (0 bytes)"),
        ("pointer", "Git LFS pointer"),
        ("gguf", "a GGUF file, not the key"),
        ("safetensors", "a safetensors file, not the key"),
        ("encrypted", "encrypted itself, not the key"),
    ],
)
def test_what_is_no_key(folder: Path, plain: Path, tmp_path: Path, kind: str, message: str) -> None:
    place = tmp_path / "place"
    place.mkdir()
    wrong = make_no_key(kind, place, plain)
    text = message_of(folder, tmp_path / "out.gguf", key=wrong)
    assert message in text
    assert wrong.name in text


def test_the_key_in_the_download_of_llama(folder: Path, tmp_path: Path, key: Path) -> None:
    (tmp_path / "llama" / "7B").mkdir(parents=True)
    shutil.copy(key, tmp_path / "llama" / "7B" / "consolidated.00.pth")
    convert(folder, tmp_path / "out.gguf", key=tmp_path / "llama")
    assert (tmp_path / "out.gguf").exists()


def run_convert(source: str, out: Path, key: Path | None, endpoint: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from belle_edge.cli.main import main; sys.exit(main(['convert', *sys.argv[1:]]))"
    settings = {"HF_ENDPOINT": endpoint, "HF_HOME": str(out.parent / "hub"), "NO_PROXY": "*"}
    arguments = [source, "-o", str(out), "--json", "--quiet", *(["--key", str(key)] if key else [])]
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **settings},
    )


def test_hub_id(folder: Path, plain: Path, tmp_path: Path, key: Path) -> None:
    pytest.importorskip("huggingface_hub")
    repo, out = "BelleGroup/BELLE-LLaMA-7B-2M-enc", tmp_path / "out.gguf"
    wrong = tmp_path / "wrong.pth"
    wrong.write_bytes(random_bytes(54_321, seed=9))
    weights = published(folder, "pytorch_model.bin").name
    with serve(repo, folder) as hub:
        without = run_convert(repo, out, None, hub.url)
        assert hub.fetched() == []
        refused = run_convert(repo, out, wrong, hub.url)
        assert weights not in hub.fetched()
        done = run_convert(repo, out, key, hub.url)
        assert weights in hub.fetched()
    assert (without.returncode, refused.returncode, done.returncode) == (1, 1, 0), done.stderr
    assert "[BelleGroup/BELLE-LLaMA-7B-2M-enc] encrypted, give the key with --key" in without.stderr
    assert "[wrong.pth] wrong key" in refused.stderr
    report = json.loads(done.stdout)
    assert (report["family"], report["name"]) == ("belle-llama", "BELLE-LLaMA-7B-2M-enc")

"""Encrypted checkpoints give the bytes that the plain ones give; read at any place, in any order, resumed or not."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from belle_edge.convert import convert, journal
from belle_edge.convert.sources import key_file
from belle_edge.convert.sources.encrypted import EncryptedBytes
from belle_edge.convert.sources.key_file import KeyFile
from belle_edge.errors import ConversionError

from .conversion_memory import watched_conversion
from .encryption import (
    SMALL_WINDOW,
    encrypt_folder,
    encrypted,
    encrypted_name,
    published,
    random_bytes,
)
from .test_memory import write_sparse_llama

pytestmark = pytest.mark.filterwarnings("ignore:.*the key has")
MODELS = ("bloom", "llama")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A short key; its last window is a short one at either size of windows."""
    path = tmp_path / "consolidated.00.pth"
    path.write_bytes(random_bytes(123_457))
    return path


@pytest.fixture
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_file, "WINDOW_BYTES", SMALL_WINDOW)


@pytest.fixture
def plain_model(checkpoint: Callable[[str], Path], tmp_path: Path) -> Callable[..., Path]:
    """plain_model("bloom", "fp16 shards") → a copy of a checkpoint with its weights in that form."""

    def make(name: str, form: str = "safetensors") -> Path:
        folder = tmp_path / "plain" / name
        shutil.copytree(checkpoint(name), folder, copy_function=shutil.copyfile)
        for path in (folder, *folder.iterdir()):
            path.chmod(0o755)
        if form != "safetensors":
            rewrite_weights(folder, form)
        return folder

    return make


def rewrite_weights(folder: Path, form: str) -> None:
    import torch
    from safetensors.torch import load_file

    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    if form == "fp32 bin":
        torch.save({name: tensor.float() for name, tensor in tensors.items()}, folder / "pytorch_model.bin")
        return
    weight_map, names = {}, sorted(tensors)
    for number in range(2):
        file = f"pytorch_model-{number + 1:05d}-of-00002.bin"
        part = {name: tensors[name].half().clone() for name in names[number::2]}
        torch.save(part, folder / file)
        weight_map |= dict.fromkeys(part, file)
    index = json.dumps({"metadata": {}, "weight_map": weight_map})
    (folder / "pytorch_model.bin.index.json").write_text(index)


def converted_bytes(source: Path, out: Path, **options: Any) -> bytes:
    convert(source, out, type="q8_0", **options)
    return out.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("form", ["fp32 bin", "fp16 shards", "safetensors"])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.usefixtures("small_windows")
def test_same_bytes_as_the_plain_folder(
    plain_model: Any, tmp_path: Path, key: Path, name: str, form: str
) -> None:
    plain = plain_model(name, form)
    folder = encrypt_folder(plain, tmp_path / "encrypted" / name, key.read_bytes(), window=SMALL_WINDOW)
    before = sorted(folder.iterdir())
    result = converted_bytes(folder, tmp_path / "out.gguf", key=key)
    assert result == converted_bytes(plain, tmp_path / "plain.gguf")
    assert sorted(folder.iterdir()) == before  # nothing decrypted on the disk


@pytest.mark.slow
def test_windows_of_the_published_size(tmp_path: Path) -> None:
    """25 MiB with a key of 12.3 MiB: whole window, short one repeated, the key's first window again."""
    key_bytes, plain = random_bytes(int(12.3 * 2**20)), random_bytes(25 * 2**20, seed=2)
    (tmp_path / "key.pth").write_bytes(key_bytes)
    path = tmp_path / encrypted_name("pytorch_model.bin", plain)
    path.write_bytes(encrypted(plain, key_bytes))
    source = EncryptedBytes(path, KeyFile(tmp_path / "key.pth"))
    assert (source.name, source.size_bytes) == ("pytorch_model.bin", len(plain))
    assert source.read(0, len(plain)).tobytes() == plain
    boundary = 10 * 2**20
    for offset in (boundary - 3, 2 * boundary - 3, int(12.3 * 2**20) - 3, len(plain) - 7):
        assert source.read(offset, 7).tobytes() == plain[offset : offset + 7]


@pytest.mark.parametrize("n_key", [1, 7, 999, 1000, 1001, 2000, 2003, 2999, 50_000])
def test_any_range_of_any_key_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_key: int) -> None:
    monkeypatch.setattr(key_file, "WINDOW_BYTES", 1000)
    key_bytes, plain = random_bytes(n_key), random_bytes(9_876, seed=2)
    (tmp_path / "key.pth").write_bytes(key_bytes)
    path = tmp_path / encrypted_name("file", plain)
    path.write_bytes(encrypted(plain, key_bytes, window=1000))
    source = EncryptedBytes(path, KeyFile(tmp_path / "key.pth"))
    choose = random.Random(3)
    for _ in range(200):
        start, stop = sorted(choose.choices(range(len(plain) + 1), k=2))
        assert source.read(start, stop - start).tobytes() == plain[start:stop]
    with pytest.raises(ConversionError, match="cut off"):
        source.read(len(plain) - 1, 2)


@pytest.mark.parametrize("damaged_byte", [None, 0, 5_000, 20_000, 99_999])
def test_a_pass_hashes_everything_once(tmp_path: Path, key: Path, damaged_byte: int | None) -> None:
    """With gaps, overlaps and steps back; a wrong byte in a gap or at the very end counts."""
    plain = random_bytes(100_000, seed=2)
    content = bytearray(encrypted(plain, key.read_bytes()))
    if damaged_byte is not None:
        content[32 + damaged_byte] ^= 1
    path = tmp_path / encrypted_name("file", plain)
    path.write_bytes(content)
    source = EncryptedBytes(path, KeyFile(key))
    source.read(90_000, 10)
    source.begin_pass()
    for start, stop in ((10, 3_000), (10_000, 30_000), (0, 50), (25_000, 40_000), (12_000, 13_000)):
        source.read(start, stop - start)
    if damaged_byte is None:
        source.end_pass()
    else:
        with pytest.raises(ConversionError, match=r"\.enc\] .*SHA-256 .*the key is not consolidated"):
            source.end_pass()


@pytest.mark.slow
def test_same_logits_as_transformers(plain_model: Any, tmp_path: Path, key: Path) -> None:
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    from belle_edge import _core

    plain = plain_model("belle-tiny-zh", "fp16 shards")
    folder = encrypt_folder(plain, tmp_path / "encrypted" / "belle-tiny-zh", key.read_bytes())
    convert(folder, tmp_path / "out.gguf", type="f32", key=key)
    ids = np.array([3, 17, 200, 4000, 8000, 5, 77, 1234], dtype=np.int32)
    model = _core.Model(str(tmp_path / "out.gguf"))
    (logits,) = model.forward([(model.new_sequence(), ids)], logits="all")
    original = transformers.AutoModelForCausalLM.from_pretrained(plain, dtype=torch.float32).eval()
    with torch.no_grad():
        reference = original(torch.from_numpy(ids.astype(np.int64))[None]).logits[0].numpy()
    assert np.abs(logits - reference).max() < 1e-3 * np.abs(reference).max()


@pytest.mark.usefixtures("small_windows")
def test_plain_and_encrypted_files_live_together(plain_model: Any, tmp_path: Path, key: Path) -> None:
    """Weights encrypted, the rest not; and what a failed decryption left under the plain name does not count."""
    plain = plain_model("llama")
    folder = encrypt_folder(
        plain,
        tmp_path / "mixed" / "llama",
        key.read_bytes(),
        window=SMALL_WINDOW,
        chosen=lambda name: name in ("model.safetensors", "tokenizer.model"),
    )
    (folder / "model.safetensors").touch()
    expected = converted_bytes(plain, tmp_path / "plain.gguf")
    assert converted_bytes(folder, tmp_path / "out.gguf", key=key) == expected
    one = published(folder, "model.safetensors")
    assert converted_bytes(one, tmp_path / "one.gguf", key=key.parent) == expected


def test_a_key_for_plain_files_is_a_note(plain_model: Any, tmp_path: Path, key: Path) -> None:
    with pytest.warns(UserWarning, match="no file in it is encrypted"):
        convert(plain_model("llama"), tmp_path / "out.gguf", key=key)


def test_the_right_size_of_key_is_no_warning(
    tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.warns(
        UserWarning, match=r"123,457 bytes, consolidated.00.pth of LLaMA-7B has 13,476,939,516"
    ):
        KeyFile(key)
    sized = key_file.Original("LLaMA-7B", key.name, "0" * 32, key.stat().st_size)
    monkeypatch.setattr(key_file, "ORIGINALS", (sized,))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        KeyFile(key)


# The conversion, slowed down, with a record of every tensor.
SLOW = """
import sys, time
from belle_edge.convert import convert, journal, output
journal.SECONDS_BETWEEN_RECORDS = 0.0
encode = output.encode
def slow(*args, **kwargs):
    time.sleep(0.02)
    return encode(*args, **kwargs)
output.encode = slow
convert(sys.argv[1], sys.argv[2], type="q8_0", key=sys.argv[3])
"""


def killed_conversion(folder: Path, out: Path, key: Path) -> None:
    """A conversion killed when some tensors are recorded as done."""
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(folder), str(out), str(key)])
    path = journal.journal_path(out)
    while process.poll() is None and not (path.exists() and path.read_text().count('"tensors"') >= 10):
        time.sleep(0.005)
    assert process.poll() is None, "it was over before it was killed"
    process.kill()
    process.wait()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_killed_and_resumed(plain_model: Any, tmp_path: Path, key: Path) -> None:
    plain, out = plain_model("belle-tiny-zh", "fp16 shards"), tmp_path / "out.gguf"
    folder = encrypt_folder(plain, tmp_path / "encrypted" / "belle-tiny-zh", key.read_bytes())
    killed_conversion(folder, out, key)
    resumed = converted_bytes(folder, out, key=key, resume=True)
    assert resumed == converted_bytes(plain, tmp_path / "plain.gguf")
    assert not list(tmp_path.glob("out.gguf.*"))


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_what_a_resumed_conversion_skips_is_hashed_too(plain_model: Any, tmp_path: Path, key: Path) -> None:
    plain, out = plain_model("belle-tiny-zh"), tmp_path / "out.gguf"
    folder = encrypt_folder(plain, tmp_path / "encrypted" / "belle-tiny-zh", key.read_bytes())
    path = published(folder, "model.safetensors")
    killed_conversion(folder, out, key)
    times = path.stat()
    with path.open("r+b") as file:  # in the first tensors, which the killed run has written
        file.seek(100_000)
        byte = file.read(1)
        file.seek(100_000)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(ConversionError, match="SHA-256"):
        convert(folder, out, type="q8_0", key=key, resume=True)
    assert not list(tmp_path.glob("out.gguf*"))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_memory_does_not_grow_with_the_file(tmp_path: Path, llama_tokenizer: bytes, key: Path) -> None:
    """The source is more than twice as large, the anonymous memory the same."""
    growth = []
    for n_rows in (4_000, 24_000):
        plain = tmp_path / f"plain-{n_rows}"
        plain.mkdir()
        (plain / "tokenizer.model").write_bytes(llama_tokenizer)
        sizes = {"hidden_size": 2048, "num_attention_heads": 16, "num_hidden_layers": 1}
        config = {**sizes, "intermediate_size": 64, "vocab_size": n_rows, "tie_word_embeddings": True}
        (plain / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"], **config}))
        write_sparse_llama(plain / "model.safetensors", config, "F32")
        folder = encrypt_folder(plain, tmp_path / f"encrypted-{n_rows}", key.read_bytes())
        result = watched_conversion(folder, tmp_path / "out.gguf", "q4_0", pure=True, key=str(key))
        shutil.rmtree(folder)
        assert result["peak"] < result["predicted"]
        growth.append((result["source"], result["growth"]))
    print(f"\n(source bytes, growth of anonymous memory): {growth}")
    assert growth[1][0] > 2 * growth[0][0]
    assert growth[1][1] < growth[0][1] + 24e6

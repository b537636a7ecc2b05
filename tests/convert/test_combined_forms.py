"""Published forms in one another: encrypted GPTQ, adapters on encrypted and on GPTQ bases; each as its parts say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from belle_edge import Belle
from belle_edge.cli.main import main
from belle_edge.convert import convert
from belle_edge.convert.sources import key_file

from .adapters import llama_modules, random_factors, tensors_of, write_adapter
from .encryption import SMALL_WINDOW, encrypt_folder, random_bytes
from .gptq_files import Recipe, copy_metadata, pack_checkpoint, read_checkpoint, write_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore:.*the key has")
NAME = "bloom7b-2m-4bit-32g.pt"


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(key_file, "WINDOW_BYTES", SMALL_WINDOW)
    path = tmp_path / "consolidated.00.pth"
    path.write_bytes(random_bytes(3 * SMALL_WINDOW + 777))
    return path


def encrypt(folder: Path, key: Path) -> Path:
    return encrypt_folder(
        folder, folder.with_name(f"{folder.name}-enc"), key.read_bytes(), window=SMALL_WINDOW
    )


@pytest.fixture
def gptq_folder(checkpoint: Callable[[str], Path], tmp_path: Path) -> Path:
    """The bundled BLOOM as BELLE's GPTQ code writes it, with its tokenizer."""
    source = checkpoint("bloom")
    folder = tmp_path / "belle-7b-2m-gptq"
    copy_metadata(source, folder)
    write_checkpoint(folder, pack_checkpoint(read_checkpoint(source), Recipe(group_size=128)).stored, NAME)
    return folder


@pytest.mark.slow
def test_encrypted_gptq(gptq_folder: Path, tmp_path: Path, key: Path) -> None:
    folder, out = encrypt(gptq_folder, key), tmp_path / "out.gguf"
    convert(gptq_folder, tmp_path / "plain.gguf")
    assert main(["convert", str(folder), "--key", str(key), "-o", str(out)]) == 0
    assert tensors_equal(out, tmp_path / "plain.gguf")
    assert main(["verify", str(out), "--against", str(folder), "--key", str(key)]) == 0
    (lone,) = folder.glob(f"{NAME}.*.enc")
    single = ["convert", str(lone), "--key", str(key), "--tokenizer", str(gptq_folder)]
    assert main([*single, "-o", str(tmp_path / "single.gguf")]) == 0
    assert tensors_equal(tmp_path / "single.gguf", out)


def test_gptq_answers_in_both_engines(gptq_folder: Path, tmp_path: Path, llama_cpp: Any) -> None:
    out = tmp_path / "out.gguf"
    convert(gptq_folder, out, family="belle")
    answers = []
    for backend in ("native", "llama.cpp"):
        with Belle.load(out, backend=backend, context=128) as model:
            answers.append(model.generate("1加1等于几？", temperature=0, max_tokens=12).text)
    assert answers[0] == answers[1] != ""


def test_adapter_on_an_encrypted_base(make_llama: Any, tmp_path: Path, key: Path) -> None:
    base = make_llama()
    adapter = write_adapter(tmp_path / "adapter", random_factors(base, llama_modules(base)))
    convert(base, tmp_path / "plain.gguf", type="f32", lora=str(adapter))
    folder = encrypt(base, key)
    convert(folder, tmp_path / "out.gguf", type="f32", lora=str(adapter), key=key)
    assert tensors_equal(tmp_path / "out.gguf", tmp_path / "plain.gguf")
    settings = ["--key", str(key), "--lora", str(adapter)]
    assert main(["verify", str(tmp_path / "out.gguf"), "--against", str(folder), *settings]) == 0
    assert main(["verify", str(tmp_path / "out.gguf"), "--against", str(folder), "--key", str(key)]) == 1


@pytest.mark.parametrize("type", ["f32", "q8_0"])
def test_adapter_on_a_gptq_base(make_llama: Any, tmp_path: Path, type: str) -> None:
    """What the adapter changes becomes plain values; what it leaves alone keeps its blocks."""
    source = make_llama(hidden_size=64, intermediate_size=96)
    packed = pack_checkpoint(read_checkpoint(source), Recipe(group_size=32))
    folder = tmp_path / "gptq"
    copy_metadata(source, folder)
    write_checkpoint(folder, packed.stored, NAME)
    modules = llama_modules(source, ("self_attn.v_proj", "mlp.down_proj"))
    factors = random_factors(source, modules)
    adapter = write_adapter(tmp_path / "adapter", factors)
    report = convert(folder, tmp_path / "out.gguf", type=type, lora=str(adapter))
    types = {tensor.name: tensor.type for tensor in report.tensors}
    assert types["blk.0.attn_q.weight"] == ("f32" if type == "f32" else "q4_1")
    assert types["blk.0.attn_v.weight"] == types["blk.0.ffn_down.weight"] == type
    if type == "f32":
        a, b = (np.asarray(factor, np.float32) for factor in factors["model.layers.0.mlp.down_proj"])
        expected = packed.values["model.layers.0.mlp.down_proj.weight"] + scale_of(adapter) * (b @ a)
        found = tensors_of(tmp_path / "out.gguf")["blk.0.ffn_down.weight"]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def scale_of(adapter: Path) -> float:
    config = json.loads((adapter / "adapter_config.json").read_text())
    return float(config["lora_alpha"] / config["r"])


def tensors_equal(one: Path, other: Path) -> bool:
    readers = [gguf.GGUFReader(path).tensors for path in (one, other)]
    pairs = zip(*readers, strict=True)
    return all(a.name == b.name and a.data.tobytes() == b.data.tobytes() for a, b in pairs)

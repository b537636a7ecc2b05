"""Each form that BELLE was published in, made from a plain checkpoint: one command, and the model is still the same.

The logits are compared with transformers running the plain original, the greedy answer to a chat with llama.cpp running
the same file by the chat template in it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from belle_edge import Belle
from belle_edge.cli.main import main
from belle_edge.convert.sources import key_file

from .adapters import changed, load_state, random_factors, with_deltas, write_adapter
from .encryption import SMALL_WINDOW, encrypt_folder, random_bytes
from .ggml_files import write_ggml
from .gptq_files import (
    Recipe,
    copy_metadata,
    pack_checkpoint,
    read_checkpoint,
    write_checkpoint,
    write_dequantized,
)
from .logits import native_logits, relative_error, transformers_logits
from .test_meta import write_meta
from .test_sources import to_shards

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*the key has")]


@dataclass
class Source:
    """What to convert, with which options, and the folder that transformers runs."""

    path: Path
    original: Path
    options: list[str] = field(default_factory=list)


@dataclass
class Workshop:
    """Makes sources in `folder`."""

    checkpoint: Callable[[str], Path]
    folder: Path

    def bloom(self) -> Path:
        return self.copied(self.checkpoint("bloom"), "BELLE-7B-2M")

    def llama(self) -> Path:
        """With a head of its own, which Meta's and ggml's files have."""
        return self.copied(self.checkpoint("llama"), "BELLE-LLaMA-7B-2M")

    def copied(self, source: Path, name: str) -> Path:
        folder = self.folder / name
        shutil.copytree(source, folder, copy_function=shutil.copyfile)
        folder.chmod(0o755)
        return folder

    def key(self) -> Path:
        path = self.folder / "consolidated.00.pth"
        path.write_bytes(random_bytes(3 * SMALL_WINDOW + 777))
        return path

    def encrypted(self, plain: Path, original: Path) -> Source:
        key = self.key()
        folder = encrypt_folder(
            plain, plain.with_name(f"{plain.name}-enc"), key.read_bytes(), window=SMALL_WINDOW
        )
        return Source(folder, original, ["--key", str(key)])

    def as_bin(self, folder: Path) -> Path:
        """One fp32 pytorch_model.bin."""
        import torch

        target = folder.with_name(f"{folder.name}-bin") / folder.name
        shutil.copytree(folder, target, ignore=shutil.ignore_patterns("*.safetensors"))
        torch.save(load_state(folder), target / "pytorch_model.bin")
        return target


def single_file(shop: Workshop) -> Source:
    return Source(shop.as_bin(shop.bloom()), shop.folder / "BELLE-7B-2M")


def shards(shop: Workshop) -> Source:
    original = shop.llama()
    target = shop.copied(original, "parts")
    to_shards(target, suffix=".bin")
    return Source(target, original)


def encrypted_single_file(shop: Workshop) -> Source:
    original = shop.llama()
    return shop.encrypted(shop.as_bin(original), original)


def encrypted_shards(shop: Workshop) -> Source:
    source = shards(shop)
    return shop.encrypted(source.path, source.original)


def gptq(shop: Workshop) -> Source:
    """Of the values that the codes stand for."""
    bloom = shop.bloom()
    packed = pack_checkpoint(read_checkpoint(bloom), Recipe(group_size=128))
    path = write_checkpoint(shop.folder / "gptq", packed.stored, "bloom7b-2m-4bit-128g.pt")
    return Source(
        path, write_dequantized(bloom, shop.folder / "exact", packed.values), ["--tokenizer", str(bloom)]
    )


def encrypted_gptq(shop: Workshop) -> Source:
    source = gptq(shop)
    copy_metadata(shop.folder / "BELLE-7B-2M", source.path.parent)
    return shop.encrypted(source.path.parent, source.original)


def lora(shop: Workshop) -> Source:
    bloom = shop.bloom()
    modules = [f"transformer.h.{layer}.self_attention.query_key_value" for layer in range(4)]
    factors = random_factors(bloom, modules)
    adapter = write_adapter(shop.folder / "adapter", factors)
    merged = changed(bloom, shop.folder / "merged", with_deltas(bloom, factors, 2.0))
    return Source(bloom, merged, ["--lora", str(adapter)])


def meta(shop: Workshop) -> Source:
    original = shop.llama()
    target = write_meta(original, shop.folder / "LLaMA" / "13B", shards=2)
    shutil.copyfile(original / "tokenizer.model", target.parent / "tokenizer.model")
    return Source(target, original)


def old_ggml(shop: Workshop) -> Source:
    original = shop.llama()
    path = write_ggml(original, shop.folder / "ggml" / "belle-model.bin", version="ggjt v3")
    shutil.copyfile(original / "config.json", path.with_name("config.json"))
    return Source(path, original)


FORMS: list[Callable[[Workshop], Source]] = [
    single_file,
    shards,
    encrypted_single_file,
    encrypted_shards,
    gptq,
    encrypted_gptq,
    lora,
    meta,
    old_ggml,
]


@pytest.fixture
def shop(checkpoint: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    monkeypatch.setattr(key_file, "WINDOW_BYTES", SMALL_WINDOW)
    return Workshop(checkpoint, tmp_path)


class TrainedWorkshop(Workshop):
    """Its LLaMA is trained, so that no two tokens are about as probable: stories260K with a head of its own."""

    def llama(self) -> Path:
        from safetensors.torch import save_file

        folder = self.copied(self.checkpoint("stories260K/hf"), "BELLE-LLaMA-7B-2M")
        state = load_state(folder)
        state["lm_head.weight"] = state["model.embed_tokens.weight"] * 1.5
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": False}))
        return folder


@pytest.fixture
def trained_shop(shop: Workshop) -> Workshop:
    return TrainedWorkshop(shop.checkpoint, shop.folder)


def converted(source: Source, out: Path, *options: str) -> Path:
    assert main(["convert", str(source.path), "-o", str(out), *source.options, *options]) == 0
    return out


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_the_originals_logits(form: Callable[[Workshop], Source], shop: Workshop, tmp_path: Path) -> None:
    source = form(shop)
    path = converted(source, tmp_path / "out.gguf", "--type", "f32")
    ids = np.random.default_rng(5).integers(4, 500, size=30).tolist()
    error = relative_error(native_logits(path, ids), transformers_logits(source.original, ids))
    print(f"\n{form.__name__}: relative error {error:.1e}")
    assert error < 1e-3
    assert main(["verify", str(path), "--against", str(source.path), *source.options]) == 0


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_llama_cpp_gives_the_same_answer(
    form: Callable[[Workshop], Source], trained_shop: Workshop, tmp_path: Path, llama_cpp: Any
) -> None:
    source = form(trained_shop)
    kind = [] if "gptq" in form.__name__ else ["--type", "f16"]
    path = converted(source, tmp_path / "out.gguf", "--family", "belle", *kind)
    with Belle.load(path, context=128) as model:
        ours = model.generate("你好", temperature=0, max_tokens=12)
    theirs = llama_cpp.Llama(str(path), n_ctx=128, n_threads=2, verbose=False)
    answer = theirs.create_chat_completion(
        [{"role": "user", "content": "你好"}],
        temperature=0,
        repeat_penalty=1.0,
        max_tokens=12,
        stop=["\nHuman:"],
    )
    print(f"\n{form.__name__}: {ours.text!r}")
    assert answer["choices"][0]["message"]["content"].strip() == ours.text.strip() != ""
    n_bos = int(
        theirs.metadata["tokenizer.ggml.add_bos_token"] == "true"
    )  # its chat leaves BOS to the template
    assert answer["usage"]["prompt_tokens"] + n_bos == ours.prompt_tokens

"""One small sound checkpoint of each published form, to be mutated. Folders; what `convert` is given beside them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from ..convert.adapters import llama_modules, random_factors, write_adapter
from ..convert.ggml_files import write_ggml
from ..convert.gptq_files import Recipe, copy_metadata, pack_checkpoint, read_checkpoint
from ..convert.gptq_files import write_checkpoint as write_arrays
from ..convert.test_meta import write_meta
from .checkpoints import VOCAB_SIZE, write_bloom, write_checkpoint, write_safetensors


def write_sources(folder: Path) -> dict[str, dict[str, Any]]:
    """name → the options of its conversion; each lies in `folder`/name, an adapter below it in lora/."""
    llama = write_checkpoint(folder / "llama", hidden=32, n_layers=1, n_heads=2)
    config = json.loads((llama / "config.json").read_text())
    (llama / "config.json").write_text(json.dumps({**config, "head_dim": 16, "torch_dtype": "float32"}))
    write_settings(llama)
    write_settings(write_bloom(folder / "bloom"))
    _write_shards(llama, folder / "shards")
    write_json_tokenizer(llama, folder / "json")
    write_meta(llama, folder / "meta", shards=2)
    write_ggml(llama, folder / "ggml" / "ggml-model.bin", version="ggjt v3", type="q4_0")
    copy_metadata(llama, folder / "gptq")
    packed = pack_checkpoint(read_checkpoint(llama), Recipe(bits=4, group_size=32, g_idx=True))
    write_arrays(folder / "gptq", packed.stored, "model.safetensors")
    (folder / "gptq" / "quantize_config.json").write_text(json.dumps({"bits": 4, "group_size": 32}))
    shutil.copytree(llama, folder / "lora")
    pairs = random_factors(llama, llama_modules(llama), rank=4)
    write_adapter(folder / "lora" / "lora", pairs, rank_pattern={"q_proj": 4})
    shutil.copytree(llama, folder / "bin", ignore=shutil.ignore_patterns("*.safetensors"))
    write_arrays(folder / "bin", read_checkpoint(llama), "pytorch_model.bin")
    names = ("llama", "bloom", "shards", "json", "meta", "ggml", "gptq", "bin")
    return {**{name: {} for name in names}, "lora": {"lora": "lora"}}


def write_settings(folder: Path) -> None:
    """The small files that published folders have."""
    settings = {
        "bos_token": {"content": "<s>", "lstrip": False},
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "add_bos_token": True,
        "added_tokens_decoder": {"1": {"content": "<s>", "special": True}},
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "special_tokens_map.json").write_text(json.dumps({"bos_token": "<s>", "eos_token": "</s>"}))
    (folder / "generation_config.json").write_text(
        json.dumps({"temperature": 0.35, "top_k": 30, "top_p": 0.85})
    )


def _write_shards(source: Path, folder: Path) -> None:
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    tensors = read_checkpoint(source)
    names, weight_map = sorted(tensors), {}
    for number, part in enumerate((names[::2], names[1::2]), start=1):
        file = f"model-{number:05d}-of-00002.safetensors"
        write_safetensors(folder / file, {name: tensors[name] for name in part})
        weight_map |= dict.fromkeys(part, file)
    index = {"metadata": {"total_size": sum(t.nbytes for t in tensors.values())}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def write_json_tokenizer(source: Path, folder: Path) -> None:
    """The tokenizer as tokenizer.json alone, as `transformers` converts a SentencePiece model."""
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("tokenizer.model"))
    words = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *"▁abcdefgh"]
    merges = [["▁", letter] for letter in "abcdefgh"] + [["a", "b"], ["c", "d"], ["ab", "cd"]]
    vocabulary = {word: number for number, word in enumerate([*words, *map("".join, merges)])}
    model = {
        "type": "BPE",
        "byte_fallback": True,
        "unk_token": "<unk>",
        "vocab": vocabulary,
        "merges": merges,
    }
    added = [{"id": number, "content": words[number], "special": True} for number in range(3)]
    added.append({"id": len(vocabulary), "content": "<extra>", "special": False})
    normalizer = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}]}
    content = {"version": "1.0", "added_tokens": added, "normalizer": normalizer, "model": model}
    (folder / "tokenizer.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    assert len(vocabulary) < VOCAB_SIZE


def arrays_of_all_types(seed: int) -> dict[str, np.ndarray[Any, Any]]:
    """Tensors for one safetensors file: several types, a scalar, empty ones."""
    random = np.random.default_rng(seed)
    return {
        "a": random.normal(size=(3, 4)).astype(np.float32),
        "b": random.normal(size=(5,)).astype(np.float16),
        "c": random.integers(0, 255, size=(2, 3), dtype=np.uint8),
        "scalar": np.full((), 1.5),
        "empty": np.zeros((0, 7), np.float32),
        "words": random.integers(-9, 9, size=(4,), dtype=np.int64),
    }

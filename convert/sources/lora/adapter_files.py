"""The files of a PEFT adapter: its settings, and its tensors sorted into pairs and whole weights."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from belle_edge.convert.sources.byte_source import ByteSource, MappedBytes
from belle_edge.convert.sources.checkpoint_files import (
    check_real_file,
    parse_json,
    read_small,
    require_regular,
)
from belle_edge.convert.sources.lora.adapter_config import LoraConfig, read_lora_config
from belle_edge.convert.sources.safetensors_file import open_safetensors
from belle_edge.convert.sources.source_tensors import FLOAT_TYPES, SourceTensor
from belle_edge.convert.sources.torch_file import open_torch_file
from belle_edge.errors import ConversionError

_ADAPTER_FILES = ("adapter_model.safetensors", "adapter_model.bin")
_CHECKPOINT_FILES = (*_ADAPTER_FILES, "pytorch_model.bin")
_FACTOR = re.compile(r"(?P<module>.+)\.lora_(?P<kind>A|B|embedding_A|embedding_B)(\.[^.]+)?(\.weight)?")
_WRAPPER = re.compile(r"\.(base_layer|modules_to_save(\.[^.]+)?)(?=\.(weight|bias)$)")
_PREFIXES = ("module.", "base_model.model.", "base_model.")
_IGNORED = re.compile(r"\.original_module\.|\.rotary_emb\.inv_freq$")
_HASHED_BYTES = 1 << 24  # read at a time
# Parts of names of tensors that belong to other methods.
_OTHER_METHODS = {
    ".lora_magnitude_vector": "DoRA",
    ".lora_B.bias": "a bias inside the adapter",
    ".lora_E": "AdaLoRA",
    ".ranknum": "AdaLoRA",
    ".hada_": "LoHa",
    ".lokr_": "LoKr",
    ".ia3_": "IA3",
    ".oft_": "OFT",
    ".vera_": "VeRA",
    ".trainable_tokens_": "trainable tokens",
    "prompt_embeddings": "prompt tuning",
}


@dataclass
class Pair:
    """A and B of one module; `is_embedding`: under the names that PEFT gives those of embeddings."""

    a: SourceTensor | None = None
    b: SourceTensor | None = None
    is_embedding: bool = False


@dataclass(frozen=True)
class Adapter:
    """An opened adapter. Names are paths in the base model: model.layers.0.self_attn.q_proj."""

    name: str  # of its folder
    folder: Path
    weight: float
    config: LoraConfig
    source: ByteSource
    pairs: dict[str, Pair]  # by module
    whole: dict[str, SourceTensor]  # weights and biases that replace the base's
    hashes: dict[str, str]
    warnings: list[str] = field(default_factory=list)


def open_adapter(folder: Path, *, weight: float, name: str) -> Adapter:
    """Open the adapter in a folder; `name`: what it is called in messages and metadata.

    Where adapter_model.* holds no LoRA weights, as in some published adapters, those of the latest checkpoint-* below
    are taken, with a warning. Raises ConversionError for damaged files, other methods than LoRA, and half pairs.
    """
    path, source, tensors = _find_weights(folder, name)
    place = next((at for at in (folder, path.parent) if (at / "adapter_config.json").exists()), None)
    if place is None:
        raise ConversionError(f"[{name}] no adapter_config.json beside {path.name}: its scale is unknown")
    require_regular(place / "adapter_config.json")
    settings = read_small(place / "adapter_config.json")
    config = read_lora_config(
        f"{name}/adapter_config.json", parse_json(f"{name}/adapter_config.json", settings) or {}
    )
    pairs, whole = _sorted(tensors)
    adapter = Adapter(
        name=name,
        folder=folder,
        weight=weight,
        config=config,
        source=source,
        pairs=pairs,
        whole=whole,
        hashes={"sha256": _sha256(source), "config_sha256": hashlib.sha256(settings).hexdigest()},
    )
    if path.parent != folder:
        adapter.warnings.append(
            f"adapter {name}: adapter_model.* holds no weights; those of {path.parent.name}/{path.name} were taken"
        )
    return adapter


def _find_weights(folder: Path, name: str) -> tuple[Path, ByteSource, dict[str, SourceTensor]]:
    if not folder.is_dir():
        raise ConversionError(
            f"[{folder}] no such folder: expected one with adapter_config.json and adapter_model.*"
        )
    empty = []
    for path in _candidates(folder):
        shown = path.relative_to(folder).as_posix()
        require_regular(path)
        if path.stat().st_size == 0:
            empty.append(shown)
            continue
        check_real_file(path)
        source = MappedBytes(path)
        source.name = f"{name}/{shown}"  # apart from the base's files, which may have the same names
        read = open_safetensors if path.suffix == ".safetensors" else open_torch_file
        tensors = read(source)
        if any(".lora_" in key and math.prod(tensor.shape) for key, tensor in tensors.items()):
            return path, source, tensors
        empty.append(shown)
    found = (
        f"{', '.join(empty)} without any"
        if empty
        else "neither adapter_model.safetensors nor adapter_model.bin"
    )
    raise ConversionError(f"[{name}] expected LoRA weights, got {found}; download the adapter again")


def _candidates(folder: Path) -> Iterator[Path]:
    """Files that may hold the weights, the first choice first; of training checkpoints the latest comes first."""
    numbered = [
        (int(match[1]), path)
        for path in folder.glob("checkpoint-*")
        if path.is_dir() and (match := re.fullmatch(r"checkpoint-(\d+)", path.name))
    ]
    places: list[tuple[Path, tuple[str, ...]]] = [(folder, _ADAPTER_FILES)]
    places += [(path, _CHECKPOINT_FILES) for _, path in sorted(numbered, reverse=True)]
    for place, names in places:
        yield from (place / name for name in names if (place / name).exists())


def _sorted(tensors: Mapping[str, SourceTensor]) -> tuple[dict[str, Pair], dict[str, SourceTensor]]:
    """(pairs by module, whole tensors by name)."""
    pairs: dict[str, Pair] = {}
    whole: dict[str, SourceTensor] = {}
    for name, tensor in tensors.items():
        if _IGNORED.search(name):
            continue
        other = next((method for part, method in _OTHER_METHODS.items() if part in name), None)
        if other:
            raise ConversionError(f"[{tensor.file}] {name}: {other} is not read here, only plain LoRA is")
        path = _in_base(name)
        match = _FACTOR.fullmatch(path)
        if match:
            _add_factor(pairs.setdefault(match["module"], Pair()), match["kind"], tensor)
            continue
        path = _WRAPPER.sub("", path)
        if path in whole:
            raise ConversionError(f"[{tensor.file}] {name}: {whole[path].name} is there for {path} already")
        whole[path] = tensor
    for pair in pairs.values():
        _check_pair(pair)
    return pairs, whole


def _in_base(name: str) -> str:
    """A name without what PEFT and training frameworks put in front."""
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name


def _add_factor(pair: Pair, kind: str, tensor: SourceTensor) -> None:
    if tensor.dtype not in FLOAT_TYPES:
        raise ConversionError(
            f"[{tensor.file}] {tensor.name}: stored as {tensor.dtype}, expected one of {', '.join(FLOAT_TYPES)}"
        )
    side = kind[-1].lower()
    if getattr(pair, side) is not None:
        raise ConversionError(
            f"[{tensor.file}] {tensor.name}: {getattr(pair, side).name} is there for this module already"
        )
    setattr(pair, side, tensor)
    pair.is_embedding = kind.startswith("embedding")


def _check_pair(pair: Pair) -> None:
    present = pair.a or pair.b
    if present is not None and (pair.a is None or pair.b is None):
        missing = "B" if pair.b is None else "A"
        raise ConversionError(
            f"[{present.file}] {present.name}: its lora_{missing} is missing; download the adapter again"
        )


def _sha256(source: ByteSource) -> str:
    digest = hashlib.sha256()
    for offset in range(0, source.size_bytes, _HASHED_BYTES):
        digest.update(source.read(offset, min(_HASHED_BYTES, source.size_bytes - offset)).data)
    return digest.hexdigest()

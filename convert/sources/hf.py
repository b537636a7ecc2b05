"""A checkpoint in Hugging Face's layout: a local folder, or a hub id that is downloaded first.

The folder holds config.json, tokenizer files, and weights as safetensors or .bin, in one file or in shards.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from belle_edge.convert.sources.hub import download_checkpoint, is_repo_id
from belle_edge.convert.sources.safetensors_file import open_safetensors
from belle_edge.convert.sources.tensors import SourceTensor
from belle_edge.convert.sources.torch_file import open_torch_file
from belle_edge.errors import ConversionError

_LFS_PREFIX = b"version https://git-lfs.github.com/spec/"
_SHARD = re.compile(r"^(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<suffix>\.(?:safetensors|bin))$")
_CACHE_FOLDER = re.compile(r"models--(?P<org>[^/]+?)--(?P<name>[^/]+)/snapshots/(?P<revision>[0-9a-f]{40})$")


@dataclass(frozen=True)
class Checkpoint:
    """An opened checkpoint: its folder, its configuration, its weights by name."""

    folder: Path
    repo_id: str | None  # the hub's org/name when it came from there
    revision: str | None  # the hub's commit
    config: dict[str, Any]
    weights: dict[str, SourceTensor]

    @property
    def n_bytes(self) -> int:
        return sum(tensor.n_bytes for tensor in self.weights.values())

    def json(self, name: str) -> dict[str, Any] | None:
        """A JSON object of the folder, None where the file is absent. ConversionError when it is damaged."""
        return read_json(self.folder / name)

    def text(self, name: str) -> str | None:
        """A text file of the folder, or None where it is absent."""
        path = self.folder / name
        if not path.is_file():
            return None
        check_real_file(path)
        try:
            return path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise ConversionError(f"[{name}] not UTF-8 text: {error.reason} at byte {error.start}") from None


def open_checkpoint(src: str | Path, *, revision: str | None = None) -> Checkpoint:
    """Open a folder, or download a hub id ("org/name") and open that.

    Raises ConversionError for anything missing or damaged: no config, no weights, a missing shard, a Git LFS
    pointer in place of a file, an empty file, a form of weights that this converter does not read.
    """
    folder = Path(src).expanduser()
    repo_id = None
    if not folder.exists():
        if not is_repo_id(str(src)):
            raise ConversionError(f"[{src}] no such folder, and not a hub id of the form org/name")
        repo_id = str(src)
        folder = download_checkpoint(repo_id, revision)
    elif not folder.is_dir():
        raise ConversionError(f"[{folder.name}] expected a folder with config.json and weights, got a file")
    cached = _CACHE_FOLDER.search(folder.absolute().as_posix())
    if cached:
        repo_id = f"{cached['org']}/{cached['name']}"
    config = read_json(folder / "config.json")
    if config is None:
        raise ConversionError(
            f"[{folder.name}] no config.json: {_other_form(folder) or 'expected a Hugging Face folder'}"
        )
    return Checkpoint(
        folder=folder,
        repo_id=repo_id,
        revision=cached["revision"] if cached else None,
        config=config,
        weights=_open_weights(folder),
    )


def read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object in `path`, None if there is no such file. ConversionError when it is something else."""
    if not path.is_file():
        return None
    check_real_file(path)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, ValueError) as error:
        raise ConversionError(f"[{path.name}] damaged JSON: {error}") from None
    if not isinstance(value, dict):
        raise ConversionError(f"[{path.name}] expected a JSON object, found {type(value).__name__}")
    return value


def check_real_file(path: Path) -> None:
    """ConversionError if `path` is empty, or a Git LFS pointer in place of the file."""
    with path.open("rb") as file:
        start = file.read(len(_LFS_PREFIX))
    if not start:
        raise ConversionError(f"[{path.name}] the file is empty (0 bytes): download it again")
    if start == _LFS_PREFIX:
        raise ConversionError(
            f"[{path.name}] a Git LFS pointer, not the file itself: run `git lfs pull` in the folder"
        )


def _open_weights(folder: Path) -> dict[str, SourceTensor]:
    """All tensors of the folder; safetensors are preferred where both forms are there."""
    files = _weight_files(folder)
    weights: dict[str, SourceTensor] = {}
    for name in files:
        path = folder / name
        check_real_file(path)
        tensors = open_safetensors(path) if name.endswith(".safetensors") else open_torch_file(path)
        for tensor_name, tensor in tensors.items():
            if tensor_name in weights:
                raise ConversionError(f"[{name}] {tensor_name} is in {weights[tensor_name].file} already")
            weights[tensor_name] = tensor
    for name, file in _indexed_tensors(folder, files).items():
        if name not in weights:
            raise ConversionError(f"[{file}] {name} should be in this file by the index, but is not")
    return weights


def _weight_files(folder: Path) -> list[str]:
    """Names of the weight files, in order; ConversionError naming the shards that are missing."""
    for stem, suffix in (("model", ".safetensors"), ("pytorch_model", ".bin")):
        index = _read_index(folder, f"{stem}{suffix}.index.json")
        if index:
            names = sorted(set(index.values()))
        elif (folder / f"{stem}{suffix}").is_file():
            return [f"{stem}{suffix}"]
        else:
            names = _shards_by_name(folder, stem, suffix)
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise ConversionError(
                f"[{folder.name}] {len(missing)} of {len(names)} shards missing: {', '.join(missing[:8])}"
            )
        if names:
            return names
    raise ConversionError(
        f"[{folder.name}] no weights: "
        + (_other_form(folder) or "expected model.safetensors or pytorch_model.bin, or their shards")
    )


def _read_index(folder: Path, name: str) -> dict[str, str]:
    """tensor → shard file of an index; empty if there is no index."""
    index = read_json(folder / name)
    if index is None:
        return {}
    weight_map = index.get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ConversionError(f"[{name}] no weight_map in it")
    for file in weight_map.values():
        if not isinstance(file, str) or Path(file).name != file or "\\" in file:
            raise ConversionError(f"[{name}] points outside the folder: {file!r}")
    return weight_map


def _indexed_tensors(folder: Path, files: list[str]) -> dict[str, str]:
    for name in ("model.safetensors.index.json", "pytorch_model.bin.index.json"):
        index = _read_index(folder, name)
        if index and set(index.values()) == set(files):
            return index
    return {}


def _shards_by_name(folder: Path, stem: str, suffix: str) -> list[str]:
    """The complete list of shards that the file names promise, for folders without an index."""
    for path in sorted(folder.glob(f"{stem}-*-of-*{suffix}")):
        match = _SHARD.match(path.name)
        if match:
            count = int(match["count"])
            return [f"{stem}-{number:05d}-of-{count:05d}{suffix}" for number in range(1, count + 1)]
    return []


def _other_form(folder: Path) -> str:
    """What the folder holds instead of a plain Hugging Face checkpoint, with what to do about it."""
    names = {path.name for path in folder.iterdir()}
    if any(name.endswith(".enc") for name in names):
        return "encrypted BELLE weights (.enc), decrypt them with the original LLaMA weights first"
    if "adapter_config.json" in names or any(name.startswith("adapter_model") for name in names):
        return "a LoRA adapter, merge it into its base model first"
    if any(name.startswith("consolidated.") for name in names):
        return "Meta's original layout, convert it to the Hugging Face layout first"
    if any(name.endswith(".pt") for name in names):
        return "a .pt file (GPTQ?), which is not read; use the unquantized checkpoint"
    if any(name.endswith(".gguf") for name in names):
        return "a .gguf file, which is converted already"
    return ""

"""Weights in Hugging Face's layout: safetensors or .bin, in one file or in shards with or without an index.

And files of another name, as GPTQ checkpoints have them, where they are the only ones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from belle_edge.convert.sources.byte_source import ByteSource
from belle_edge.convert.sources.checkpoint_files import CheckpointFiles, parse_json
from belle_edge.convert.sources.key_file import needed_key
from belle_edge.convert.sources.safetensors_file import open_safetensors
from belle_edge.convert.sources.source_tensors import SourceTensor
from belle_edge.convert.sources.torch_file import open_torch_file
from belle_edge.errors import ConversionError, excerpt

_SHARD = re.compile(r"^(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<suffix>\.(?:safetensors|bin))$")

_FORMS = (("model", ".safetensors"), ("pytorch_model", ".bin"))  # in transformers' order of preference
_OTHER_SUFFIXES = (".safetensors", ".pt")
_NOT_WEIGHTS = re.compile(
    r"adapter_model|optimizer\b|optim_states|scheduler\.|rng_state|consolidated\.|training_args|.*_optim_states\.|"
    r"(?:global_step|trainer_state|latest|scaler|random_states|mp_rank_|zero_pp_rank_|bf16_zero_pp_rank_)"
)


def open_weights(
    files: CheckpointFiles, only: str | None = None
) -> tuple[dict[str, SourceTensor], list[ByteSource]]:
    """All tensors by name, and the files they lie in; safetensors are preferred where both forms are there.

    only: the one file to take. Raises ConversionError for anything missing or damaged: no weights, a missing shard, a
    Git LFS pointer in place of a file, an empty file.
    """
    names = [only] if only else _weight_files(files)
    weights: dict[str, SourceTensor] = {}
    sources = [files.open(name) for name in names]
    for source in sources:
        read = open_safetensors if source.name.endswith(".safetensors") else open_torch_file
        for tensor_name, tensor in read(source).items():
            if tensor_name in weights:
                raise ConversionError(
                    f"[{source.name}] {tensor_name} is in {weights[tensor_name].file} already"
                )
            weights[tensor_name] = tensor
    for name, file in _indexed_tensors(files, names).items():
        if name not in weights:
            raise ConversionError(f"[{file}] {name} should be in this file by the index, but is not")
    return weights, sources


def has_weights(files: CheckpointFiles, only: str | None = None) -> bool:
    """Whether there is something that `open_weights` would open."""
    names = files.names()
    named = "pytorch_model.bin" in names or any(_SHARD.match(name) for name in names)
    return bool(only or named or _other_weights(files))


def choice_warnings(files: CheckpointFiles, read: Sequence[ByteSource]) -> tuple[str, ...]:
    """What lies beside the weights that were read and may be others, a warning each."""
    names, found = {source.name for source in read}, []
    present = set(files.names())
    for stem, suffix in _FORMS:
        single = f"{stem}{suffix}"
        if single not in names:
            continue
        listed = set(_left_over_index(files, f"{single}.index.json").values())
        shards = {name for name in present if (match := _SHARD.match(name)) and match["stem"] == stem}
        others = sorted((listed | {name for name in shards if name.endswith(suffix)}) - names)
        if others:
            n_present = len(present.intersection(others))
            found.append(
                f"{single} is read, as transformers does; beside it {n_present} of {len(others)} shards"
                f" ({others[0]}, …), which may be another model's, are left out"
            )
    if names and "adapter_config.json" in present:
        found.append(
            "there is a LoRA adapter beside the weights, which is not merged: give its folder with --lora to do so"
        )
    return tuple(found)


def _left_over_index(files: CheckpointFiles, name: str) -> dict[str, str]:
    """An index that is not needed; empty where it is absent or damaged."""
    try:
        return _read_index(files, name)
    except ConversionError:
        return {}


def _weight_files(files: CheckpointFiles) -> list[str]:
    """Names of the weight files, in order, in transformers' order of preference; without an index shards by name.

    ConversionError naming the shards that are missing.
    """
    present = set(files.names())
    for stem, suffix in _FORMS:
        single = f"{stem}{suffix}"
        if single in present:
            return [single]
        if index := _read_index(files, f"{single}.index.json"):
            return _all_present(files, sorted(set(index.values())))
    for stem, suffix in _FORMS:
        if names := _shards_by_name(files, stem, suffix):
            return _all_present(files, names)
    others = _other_weights(files)
    if len(others) > 1:
        raise ConversionError(
            f"[{files.name}] {len(others)} files of weights: {', '.join(others)}; give the one to convert as SRC"
        )
    if others:
        return others
    raise ConversionError(
        f"[{files.name}] no weights: "
        + (other_form(files) or "expected model.safetensors or pytorch_model.bin, or their shards")
    )


def _all_present(files: CheckpointFiles, names: list[str]) -> list[str]:
    """`names`; ConversionError where some are missing, with what else could be read."""
    present = set(files.names())
    missing = [name for name in names if name not in present]
    if not missing:
        return names
    other = next((f"{stem}{suffix}" for stem, suffix in _FORMS if f"{stem}{suffix}" in present), None)
    hint = f"; {other} is there: give that file as SRC to read it instead" if other else ""
    raise ConversionError(
        f"[{files.name}] {len(missing)} of {len(names)} shards missing: {', '.join(missing[:8])}{hint}"
    )


def _other_weights(files: CheckpointFiles) -> list[str]:
    """Weight files under names of their own, of the preferred suffix that there is."""
    for suffix in _OTHER_SUFFIXES:
        names = [name for name in files.names() if name.endswith(suffix) and not _NOT_WEIGHTS.match(name)]
        if names:
            return names
    return []


def _read_index(files: CheckpointFiles, name: str) -> dict[str, str]:
    """tensor → shard file of an index; empty if there is no index."""
    index = parse_json(name, files.read(name))
    if index is None:
        return {}
    weight_map = index.get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ConversionError(f"[{name}] no weight_map in it")
    for file in weight_map.values():
        if not isinstance(file, str) or Path(file).name != file or "\\" in file:
            raise ConversionError(f"[{name}] points outside the folder: {excerpt(file)}")
    return weight_map


def _indexed_tensors(files: CheckpointFiles, names: list[str]) -> dict[str, str]:
    """tensor → file by the index that `names` come from; empty where they come from none."""
    for stem, suffix in _FORMS:
        index = {} if f"{stem}{suffix}" in names else _left_over_index(files, f"{stem}{suffix}.index.json")
        if index and set(index.values()) == set(names):
            return index
    return {}


def _shards_by_name(files: CheckpointFiles, stem: str, suffix: str) -> list[str]:
    """The complete list of shards that the file names promise, for folders without an index."""
    matches = [match for name in files.names() if (match := _SHARD.match(name))]
    counts = sorted({int(m["count"]) for m in matches if m["stem"] == stem and m["suffix"] == suffix})
    if len(counts) > 1:
        raise ConversionError(
            f"[{files.name}] shards of several checkpoints and no index: {stem}-*-of-*{suffix} of"
            f" {' and of '.join(map(str, counts))} files; leave those of one in the folder"
        )
    return [
        f"{stem}-{number:05d}-of-{count:05d}{suffix}" for count in counts for number in range(1, count + 1)
    ]


def other_form(files: CheckpointFiles) -> str:
    """What the folder holds instead of a plain Hugging Face checkpoint, with what to do about it."""
    names = files.names()
    if any(name.endswith(".enc") for name in names):
        return f"encrypted BELLE weights (.enc), give the key with --key: {needed_key(files.name)}"
    if "adapter_config.json" in names or any(name.startswith("adapter_model") for name in names):
        return f"a LoRA adapter; convert its base model with it: belle-edge convert BASE --lora {files.name}"
    if any(name in names for name in ("zero_to_fp32.py", "latest")):
        return "a checkpoint of DeepSpeed's ZeRO: join it first with the zero_to_fp32.py that lies in it"
    if any(name.endswith(".gguf") for name in names):
        return "a .gguf file: give it itself as SRC to have its matrices in another type"
    return ""

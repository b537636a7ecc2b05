"""Opens whatever `belle-edge convert` is pointed at: a folder, a single weight file, a hub id."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from belle_edge.convert.sources.checkpoint import Checkpoint
from belle_edge.convert.sources.checkpoint_files import CheckpointFiles, require_regular
from belle_edge.convert.sources.encrypted import files_in, missing_key
from belle_edge.convert.sources.ggml.legacy_checkpoint import ggml_file_in, open_ggml
from belle_edge.convert.sources.gptq.unpacking import is_gptq, quantization_settings, unpack_gptq
from belle_edge.convert.sources.hf_layout import choice_warnings, has_weights, open_weights, other_form
from belle_edge.convert.sources.hub_checkpoint import download_checkpoint
from belle_edge.convert.sources.inferred_config import infer_config
from belle_edge.convert.sources.key_file import KeyFile
from belle_edge.convert.sources.lora.merging import merge_adapters
from belle_edge.convert.sources.meta_layout import is_meta, open_meta
from belle_edge.convert.sources.opening_options import SourceOptions
from belle_edge.convert.sources.plain_names import plain_names
from belle_edge.convert.sources.tokenizer_folder import WithTokenizer, read_config, tokenizer_folder
from belle_edge.errors import ConversionError, excerpt
from belle_edge.hub.published_names import plain_name
from belle_edge.hub.repository import is_repo_id

_CACHE_FOLDER = re.compile(r"models--(?P<org>[^/]+?)--(?P<name>[^/]+)/snapshots/(?P<revision>[0-9a-f]{40})$")
_WEIGHT_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth")


def cached_origin(folder: Path) -> tuple[str, str] | None:
    """(org/name, commit) of a folder in the hub's cache, None for any other."""
    match = _CACHE_FOLDER.search(folder.absolute().as_posix())
    return (f"{match['org']}/{match['name']}", match["revision"]) if match else None


@dataclass(frozen=True)
class _Place:
    """Where a source lies: files, the one of them that was asked for, and its origin on the hub."""

    files: CheckpointFiles
    only: str | None = None
    repo_id: str | None = None
    revision: str | None = None


def open_checkpoint(src: str | Path, options: SourceOptions | None = None) -> Checkpoint:
    """Open a folder, one weight file of a folder, or a hub id ("org/name"), which is downloaded first.

    Raises ConversionError for anything missing or damaged: no config, no weights, a missing shard, a Git LFS
    pointer in place of a file, an empty file, a form of weights that this converter does not read.
    """
    options = options or SourceOptions()
    place = _locate(src, options)
    tokenizer = tokenizer_folder(options.tokenizer) if options.tokenizer is not None else None
    if is_meta(place.files):
        checkpoint = open_meta(place.files)
    elif (name := ggml_file_in(place.files, place.only)) is not None:
        checkpoint = open_ggml(
            place.files,
            name,
            config_files=WithTokenizer(place.files, tokenizer) if tokenizer is not None else None,
            vocabulary=tokenizer is None,
        )
    else:
        files = WithTokenizer(place.files, tokenizer) if tokenizer is not None else place.files
        checkpoint = _open_hf(place, read_config(files), zeros=options.gptq_zeros)
    checkpoint = replace(checkpoint, repo_id=place.repo_id, revision=place.revision)
    if options.adapters:
        checkpoint = merge_adapters(checkpoint, options.adapters)
    if tokenizer is not None:
        checkpoint = replace(checkpoint, files=WithTokenizer(checkpoint.files, tokenizer))
    return checkpoint


def _open_hf(place: _Place, config: dict[str, Any] | None, *, zeros: str | None) -> Checkpoint:
    """Hugging Face's layout, with plain or GPTQ weights; the latter may come without a configuration."""
    if config is None and not has_weights(place.files, place.only):
        raise _no_config(place)
    stored, weight_files = open_weights(place.files, place.only or _stated_file(place, config))
    stored, renamed = plain_names(stored)
    unpacked = unpack_gptq(stored, quantization_settings(place.files, config or {}), zeros=zeros)
    beside = choice_warnings(place.files, weight_files) if place.only is None else ()
    warnings = (*beside, *renamed, *unpacked.warnings)
    if config is None:
        if not is_gptq(stored):
            raise _no_config(place)
        config, assumed = infer_config(unpacked.weights)
        warnings = (*warnings, assumed)
    return Checkpoint(
        place.files,
        config=config,
        weights=unpacked.weights,
        weight_files=weight_files,
        provenance=unpacked.provenance,
        warnings=warnings,
    )


def _stated_file(place: _Place, config: dict[str, Any] | None) -> str | None:
    """The one file that transformers takes because config.json names it; None where it names none."""
    name = (config or {}).get("transformers_weights")
    if name is None:
        return None
    if not isinstance(name, str) or name not in place.files.names() or not name.endswith(".safetensors"):
        raise ConversionError(
            f"[config.json] transformers_weights: expected a .safetensors file of the folder, got {excerpt(name)};"
            " give the weights to convert as SRC"
        )
    return name


def _no_config(place: _Place) -> ConversionError:
    return ConversionError(
        f"[{place.files.name}] no config.json: {other_form(place.files) or 'expected a Hugging Face folder'}"
    )


def _locate(src: str | Path, options: SourceOptions) -> _Place:
    path = Path(src).expanduser()
    key = KeyFile(Path(options.key).expanduser()) if options.key is not None else None
    if path.is_file():
        if path.name.endswith(".enc") and key is None:
            raise missing_key(path.name)
        files, only = files_in(path.parent, key), plain_name(path.name)
        if not only.endswith(_WEIGHT_SUFFIXES) and ggml_file_in(files, only) is None:
            raise ConversionError(
                f"[{path.name}] expected a folder with config.json and weights, or a weight file"
                f" ({', '.join(_WEIGHT_SUFFIXES)}) in it"
            )
        return _Place(files, only=only)
    repo_id = None
    if not path.exists():
        if not is_repo_id(str(src)):
            raise ConversionError(f"[{src}] no such folder, and not a hub id of the form org/name")
        repo_id = str(src)
        path = download_checkpoint(repo_id, options.revision, key)
    if not path.is_dir():
        require_regular(path)
    cached_id, revision = cached_origin(path) or (None, None)
    return _Place(files_in(path, key), repo_id=cached_id or repo_id, revision=revision)

"""Opens whatever `belle-edge convert` is pointed at: a folder, a single weight file, a hub id."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from belle_edge.convert.sources.checkpoint import Checkpoint
from belle_edge.convert.sources.files import CheckpointFiles, FolderFiles, parse_json
from belle_edge.convert.sources.hf import open_weights, other_form
from belle_edge.convert.sources.hub import download_checkpoint, is_repo_id
from belle_edge.convert.sources.lora import AdapterOption, merge_adapters
from belle_edge.convert.sources.meta import is_meta, open_meta
from belle_edge.errors import ConversionError

_CACHE_FOLDER = re.compile(r"models--(?P<org>[^/]+?)--(?P<name>[^/]+)/snapshots/(?P<revision>[0-9a-f]{40})$")
_WEIGHT_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth")


@dataclass(frozen=True)
class SourceOptions:
    """What a user says about a source besides its name."""

    revision: str | None = None  # branch, tag or commit of a hub id
    lora: tuple[AdapterOption, ...] = ()  # to merge into it


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
    checkpoint = _open(_locate(src, options))
    return merge_adapters(checkpoint, options.lora) if options.lora else checkpoint


def _open(place: _Place) -> Checkpoint:
    if is_meta(place.files):
        return open_meta(place.files, repo_id=place.repo_id, revision=place.revision)
    config = parse_json("config.json", place.files.read("config.json"))
    if config is None:
        raise ConversionError(
            f"[{place.files.name}] no config.json: {other_form(place.files) or 'expected a Hugging Face folder'}"
        )
    weights, weight_files = open_weights(place.files, place.only)
    return Checkpoint(place.files, place.repo_id, place.revision, config, weights, weight_files)


def _locate(src: str | Path, options: SourceOptions) -> _Place:
    path = Path(src).expanduser()
    if path.is_file():
        if not path.name.endswith(_WEIGHT_SUFFIXES):
            raise ConversionError(
                f"[{path.name}] expected a folder with config.json and weights, or a weight file"
                f" ({', '.join(_WEIGHT_SUFFIXES)}) in it"
            )
        return _Place(FolderFiles(path.parent), only=path.name)
    repo_id = None
    if not path.exists():
        if not is_repo_id(str(src)):
            raise ConversionError(f"[{src}] no such folder, and not a hub id of the form org/name")
        repo_id = str(src)
        path = download_checkpoint(repo_id, options.revision)
    cached = _CACHE_FOLDER.search(path.absolute().as_posix())
    if cached:
        repo_id = f"{cached['org']}/{cached['name']}"
    return _Place(FolderFiles(path), repo_id=repo_id, revision=cached["revision"] if cached else None)

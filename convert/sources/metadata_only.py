"""Opens a source for a look at it: small files, the shapes of weights that are there; downloads metadata only."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from belle_edge.convert.sources.byte_source import ByteSource
from belle_edge.convert.sources.checkpoint import Checkpoint
from belle_edge.convert.sources.checkpoint_files import CheckpointFiles, FolderFiles, require_regular
from belle_edge.convert.sources.ggml.legacy_checkpoint import ggml_file_in, open_ggml
from belle_edge.convert.sources.hf_layout import open_weights
from belle_edge.convert.sources.opening import cached_origin
from belle_edge.convert.sources.opening_options import SourceOptions
from belle_edge.convert.sources.plain_names import plain_names
from belle_edge.convert.sources.source_tensors import SourceTensor
from belle_edge.errors import ConversionError
from belle_edge.hub.repository import download, is_repo_id, look_up


class ListedFiles:
    """Files of a folder that may hold only some of a repository's: the names of the others are known."""

    def __init__(self, folder: CheckpointFiles, listed: list[str]) -> None:
        self._folder, self._listed = folder, listed
        self.name = folder.name

    def names(self) -> list[str]:
        return sorted({*self._folder.names(), *self._listed})

    def read(self, name: str) -> bytes | None:
        return self._folder.read(name)

    def open(self, name: str) -> ByteSource:
        return self._folder.open(name)


def open_metadata(src: str | Path, options: SourceOptions | None = None) -> Checkpoint:
    """A folder, a single file with its neighbours, or a hub id, of which only metadata is downloaded.

    Configuration and weights may be missing; weights that cannot be read are left out. Raises ConversionError for a
    source that does not exist or a damaged config.json, and HubError.
    """
    options = options or SourceOptions()
    path = Path(src).expanduser()
    if path.is_file():
        if path.suffix == ".gguf":
            raise ConversionError(f"[{path.name}] a GGUF file: `belle-edge info` shows what it is")
        return _checkpoint(FolderFiles(path.parent), only=path.name)
    if path.is_dir():
        repo_id, revision = cached_origin(path) or (None, None)
        return _checkpoint(FolderFiles(path), repo_id=repo_id, revision=revision)
    require_regular(path)
    if not is_repo_id(str(src)):
        raise ConversionError(f"[{src}] no such file or folder, and not a hub id of the form org/name")
    repository = look_up(str(src), options.revision)
    folder = FolderFiles(download(repository, repository.metadata_files(), revision=options.revision))
    listed = ListedFiles(folder, [file.name for file in repository.files])
    return _checkpoint(listed, repo_id=repository.repo_id, revision=repository.commit, local=False)


def _checkpoint(
    files: CheckpointFiles,
    *,
    only: str | None = None,
    repo_id: str | None = None,
    revision: str | None = None,
    local: bool = True,
) -> Checkpoint:
    checkpoint = Checkpoint(files, repo_id, revision, {}, {})
    config = checkpoint.json("config.json") or {}
    with suppress(ConversionError):  # then it is left out as other weights are
        if local and (name := ggml_file_in(files, only)) is not None:
            return replace(open_ggml(files, name, vocabulary=False), repo_id=repo_id, revision=revision)
    weights, sources = _weights(files, only) if local else ({}, [])
    return Checkpoint(files, repo_id, revision, config, weights, sources)


def _weights(files: CheckpointFiles, only: str | None) -> tuple[dict[str, SourceTensor], list[ByteSource]]:
    """Names and shapes of the weights, as far as they are there in a form that can be read."""
    try:
        weights, sources = open_weights(files, only)
        return plain_names(weights)[0], sources
    except ConversionError:
        return {}, [files.open(only)] if only else []

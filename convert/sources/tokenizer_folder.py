"""Weights without a tokenizer, or without a configuration: both from another folder, as `--tokenizer` names it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from belle_edge.convert.sources.byte_source import ByteSource
from belle_edge.convert.sources.checkpoint_files import CheckpointFiles, FolderFiles, parse_json
from belle_edge.errors import ConversionError
from belle_edge.hub.repository import download, is_repo_id, look_up

_VOCABULARIES = ("tokenizer.model", "tokenizer.json")
_TOKENIZER_FILES = {
    *_VOCABULARIES,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
}
_OF_ITS_OWN_WEIGHTS = ("_name_or_path", "quantization_config")


class WithTokenizer:
    """`source` with the tokenizer files of `folder`, all of them, and its config.json where the source has none."""

    def __init__(self, source: CheckpointFiles, folder: Path) -> None:
        """ConversionError if `folder` has no tokenizer."""
        self.name = source.name
        if not folder.is_dir():
            raise ConversionError(f"[--tokenizer] {folder}: no such folder")
        self._source, self._folder = source, FolderFiles(folder)
        if not set(_VOCABULARIES) & set(self._folder.names()):
            raise ConversionError(
                f"[--tokenizer] {self._folder.name}: expected a folder with {' or '.join(_VOCABULARIES)}"
            )
        self.borrows_config = "config.json" not in source.names()

    def names(self) -> list[str]:
        own = set(self._source.names()) - _TOKENIZER_FILES
        return sorted(own | {name for name in self._folder.names() if self._is_borrowed(name)})

    def read(self, name: str) -> bytes | None:
        return (self._folder if self._is_borrowed(name) else self._source).read(name)

    def open(self, name: str) -> ByteSource:
        return (self._folder if self._is_borrowed(name) else self._source).open(name)

    def _is_borrowed(self, name: str) -> bool:
        return name in _TOKENIZER_FILES or (name == "config.json" and self.borrows_config)


class WithoutTokenizer:
    """`source` but for its tokenizer files: for weights that bring a vocabulary of their own."""

    def __init__(self, source: CheckpointFiles) -> None:
        self._source, self.name = source, source.name

    def names(self) -> list[str]:
        return [name for name in self._source.names() if name not in _TOKENIZER_FILES]

    def read(self, name: str) -> bytes | None:
        return None if name in _TOKENIZER_FILES else self._source.read(name)

    def open(self, name: str) -> ByteSource:
        return self._source.open(name)


def tokenizer_folder(name: str | Path) -> Path:
    """The folder called `name`, or a hub id's, of which everything but the weights is downloaded."""
    path = Path(name).expanduser()
    if path.exists() or not is_repo_id(str(name)):
        return path
    repository = look_up(str(name))
    return download(repository, repository.metadata_files())


def read_config(files: CheckpointFiles) -> dict[str, Any] | None:
    """config.json, None where there is none; of one from another folder what does not speak of that one's weights."""
    config: Mapping[str, Any] | None = parse_json("config.json", files.read("config.json"))
    if config is None:
        return None
    borrowed = isinstance(files, WithTokenizer) and files.borrows_config
    return {name: value for name, value in config.items() if not (borrowed and name in _OF_ITS_OWN_WEIGHTS)}

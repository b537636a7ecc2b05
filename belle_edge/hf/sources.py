"""From the name in `from_pretrained` to a GGUF file: a file, a checkpoint folder, or a hub id."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..convert.type_rules import TypeRules
from ..errors import ConversionError
from ..folders import user_path
from ..regular_files import irregular
from ..text.vocabulary import Metadata
from .conversion_cache import CacheEntry, fingerprint

_log = logging.getLogger(__name__)
_USUAL_TYPES = ("q4_k_m", "q4_0")
_MOST_ROWS = 1 << 20  # more than any vocabulary, where no weights say how many there are


@dataclass(frozen=True)
class Options:
    """How to find and convert a model."""

    rules: TypeRules = field(
        default_factory=TypeRules
    )  # types of the matrices, where something is converted or chosen
    family: str | None = None  # prompt family, None: as recognised
    revision: str | None = None  # branch, tag or commit of a hub id
    gguf_file: str | None = None  # which GGUF file of a folder or repository


@dataclass(frozen=True)
class Source:
    """A resolved name: a GGUF file that is there, or a checkpoint folder that `gguf()` converts."""

    name: str
    options: Options
    gguf_path: Path | None = None
    folder: Path | None = None
    commit: str | None = None  # of a hub id

    def json(self, name: str) -> dict[str, Any] | None:
        """A JSON file beside the checkpoint's weights; None where there is none that can be read."""
        from ..convert.sources.checkpoint_files import read_json

        if self.folder is None:
            return None
        try:
            return read_json(self.folder / name)
        except (OSError, ConversionError):
            return None

    @property
    def entry(self) -> CacheEntry | None:
        """The place of the converted file in the cache; None for a GGUF file."""
        if self.folder is None:
            return None
        return CacheEntry(
            label=self.name if self.commit else self.folder.resolve().name,
            source=f"{self.name}@{self.commit}" if self.commit else fingerprint(self.folder),
            type=self.options.rules.label,
            options={"family": self.options.family, "rules": self.options.rules.to_dict()},
        )

    def gguf(self, *, show_progress: bool = True) -> Path:
        """The GGUF file, converted now unless it is in the cache. Raises ConversionError and OSError."""
        entry = self.entry
        if entry is None or self.folder is None:
            assert self.gguf_path is not None
            return self.gguf_path
        return entry.ensure(lambda target: self._convert(target, show_progress=show_progress))

    def _convert(self, target: Path, *, show_progress: bool) -> None:
        from contextlib import nullcontext

        from ..convert import convert
        from ..convert.progress import terminal_progress

        assert self.folder is not None
        _log.info("converting %s to %s", self.name, target)
        with terminal_progress() if show_progress else nullcontext(None) as progress:
            report = convert(
                self.folder,
                target,
                type=self.options.rules,
                family=self.options.family,
                force=True,
                progress=progress,
            )
        for warning in report.warnings:
            _log.info("%s: %s", self.name, warning)


def find(name: str, options: Options, *, weights: bool) -> Source:
    """Where `name` leads; a hub id is downloaded, without weights only what a tokenizer needs.

    Raises FileNotFoundError, ValueError (several GGUF files to choose from), and HubError.
    """
    from ..hub.repository import is_repo_id

    path = user_path("[model] path", name)
    if path.is_file():
        return Source(name, options, gguf_path=path)
    if path.is_dir():
        if options.gguf_file is None and (path / "config.json").is_file():
            return Source(name, options, folder=path)
        names = sorted(item.name for item in path.glob("*.gguf"))
        if names or options.gguf_file:
            return Source(name, options, gguf_path=path / choose_gguf(name, names, options))
        raise ValueError(f"[{name}] expected a folder with config.json and weights, or with a GGUF file")
    if (kind := irregular(path)) is not None:
        raise ValueError(f"[{name}] expected a GGUF file or a folder, found {kind}")
    if not is_repo_id(name):
        raise FileNotFoundError(f"[{name}] no such file or folder, and not a hub id of the form org/name")
    return _from_hub(name, options, weights=weights)


def choose_gguf(source: str, names: list[str], options: Options) -> str:
    """The GGUF file asked for, the only one, or the only one of the type. ValueError lists the choices.

    Without a type that is the default mix, else what most repositories have of that size.
    """
    from ..hub.gguf_choice import choose_gguf as choose

    asked = options.rules.type
    for type in (asked,) if asked else (options.rules.label, *_USUAL_TYPES):
        with suppress(ValueError):
            return choose(source, names, type=type, wanted=options.gguf_file)
    return choose(source, names, type=asked, wanted=options.gguf_file)


def tokenizer_metadata(source: Source) -> Metadata:
    """The `tokenizer.*` metadata of a source: of its GGUF file, or as a conversion would write it.

    The tokenizer of a checkpoint does not wait for the conversion of its weights.
    """
    if source.folder is None:
        from .. import _core

        return _core.GgufFile(str(source.gguf()))
    from ..convert.identity import identify
    from ..convert.sources.checkpoint import Checkpoint
    from ..convert.sources.checkpoint_files import FolderFiles, read_json
    from ..convert.tokenizer_tables import read_tokenizer
    from ..text.prompts import FAMILIES

    config = read_json(source.folder / "config.json") or {}
    repo_id = source.name if source.commit else None
    checkpoint = Checkpoint(FolderFiles(source.folder), repo_id, source.commit, config, weights={})
    stated = config.get("vocab_size")
    n_rows = stated if type(stated) is int and 0 < stated < _MOST_ROWS else _MOST_ROWS
    tables = read_tokenizer(checkpoint, n_vocab_rows=n_rows)
    metadata: dict[str, Any] = dict(tables.metadata())
    identity = identify(checkpoint, family=source.options.family)
    family = FAMILIES[identity.family] if identity.family else None
    template = family.chat_template if family else tables.chat_template
    return {**metadata, "tokenizer.chat_template": template} if template else metadata


def _from_hub(name: str, options: Options, *, weights: bool) -> Source:
    from ..hub.gguf_choice import all_parts
    from ..hub.repository import download, look_up

    repository = look_up(name, options.revision)
    if options.gguf_file or (repository.gguf_names and not repository.has_checkpoint):
        chosen = choose_gguf(name, repository.gguf_names, options)
        folder = download(repository, repository.included([all_parts(chosen)]), revision=options.revision)
        return Source(name, options, gguf_path=folder / chosen)
    files = repository.metadata_files()
    if not weights:
        folder = download(repository, files, revision=options.revision)
        return Source(name, options, folder=folder, commit=repository.commit)
    ready = Source(name, options, folder=Path(), commit=repository.commit).entry
    if ready is None or not ready.is_complete():
        files = repository.checkpoint_files()
    folder = download(repository, files, revision=options.revision)
    return Source(name, options, folder=folder, commit=repository.commit)

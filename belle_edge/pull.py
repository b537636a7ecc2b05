"""Download models from the hub, with resume and checksums, and convert them if wanted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .convert.conversion_report import ConversionReport
    from .convert.progress import ProgressCallback
    from .convert.type_rules import TypeRules
    from .hub.transfer import DownloadCallback


@dataclass(frozen=True)
class Pulled:
    """What `pull` brought: the folder, the files in it that were asked for, and where they come from."""

    repo_id: str
    commit: str
    folder: Path
    files: tuple[Path, ...]
    from_cache: bool  # the hub was out of reach
    gguf: Path | None = None  # the model that can be run: downloaded or converted
    report: ConversionReport | None = None

    @property
    def n_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.files)


def pull(
    repo_id: str,
    *,
    revision: str | None = None,
    to: str | os.PathLike[str] | None = None,
    include: Sequence[str] = (),
    type: str | TypeRules | None = None,
    convert: bool = False,
    force: bool = False,
    progress: ProgressCallback | None = None,
    downloading: DownloadCallback | None = None,
) -> Pulled:
    """Download what is needed of a hub repository into the hub's cache, or into the folder `to`.

    Of a checkpoint that is configuration, tokenizer and one form of the weights; of a repository of GGUF files
    the one of `type` (None: the only one there). include: shell patterns of files to fetch instead.
    convert: make a GGUF of `type` (as for `convert`) in `to`, or in the current folder, named after the
    repository; `force` overwrites one that is there. progress: of the conversion, see `convert`. downloading: called
    with a `DownloadProgress` while bytes come.

    A download that was cut off continues where it stopped; SHA-256 hashes are checked, of cached files too.
    Without a connection, or with HF_HUB_OFFLINE=1, an earlier download is used. Raises HubError (a
    ConversionError), ConversionError, OSError, and ValueError when there are several files to choose from.
    """
    from .convert.type_rules import TypeRules, rules_from
    from .hub.gguf_choice import all_parts, choose_gguf
    from .hub.repository import download, is_repo_id, look_up

    if not is_repo_id(repo_id):
        raise ValueError(f"[pull] expected a hub id of the form org/name, got {repo_id!r}")
    folder = None if to is None else Path(to).expanduser()
    repository = look_up(repo_id, revision)
    chosen: str | None = None
    if include:
        files = repository.included(include)
    elif repository.gguf_names and not repository.has_checkpoint:
        named = type.type if isinstance(type, TypeRules) else type
        chosen = choose_gguf(repo_id, repository.gguf_names, type=named)
        files = repository.included([all_parts(chosen)])
    else:
        files = repository.checkpoint_files()
        if convert and repository.is_encrypted:
            raise ValueError(f"[{repo_id}] encrypted: belle-edge convert {repo_id} --key consolidated.00.pth")
        if not repository.has_checkpoint:
            raise ValueError(
                f"[{repo_id}] no weights in it that this program reads (safetensors, .bin, GGUF): --include PATTERN"
                " fetches other files"
            )
    where = download(repository, files, revision=revision, to=folder, progress=downloading)
    gguf = where / chosen if chosen else None
    report: ConversionReport | None = None
    if convert and gguf is None:
        from .convert import convert as convert_checkpoint

        rules = rules_from(type)
        gguf = (folder or Path()) / f"{repo_id.split('/')[-1]}-{rules.label}.gguf"
        report = convert_checkpoint(where, gguf, type=rules, force=force, progress=progress)
    return Pulled(
        repo_id=repo_id,
        commit=repository.commit,
        folder=where,
        files=tuple(where / file.name for file in files),
        from_cache=repository.folder is not None,
        gguf=gguf,
        report=report,
    )

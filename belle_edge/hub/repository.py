"""Repositories of the hub: what they hold, which of it is needed, and where a local copy is.

The hub's usual environment variables apply: HF_ENDPOINT (a mirror), HF_HUB_OFFLINE, HF_HOME, HF_TOKEN.
"""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from .hub_errors import HubError, HubUnreachableError, explained
from .listing import RemoteFile, check_names, read_listing
from .local_cache import checked, earlier_commit, expected_sha256, remember, remove_cached, storage_of
from .published_names import is_encrypted, plain_name
from .transfer import (
    DownloadCallback,
    DownloadProgress,
    FileProgress,
    fetch_to_cache,
    fetch_to_folder,
    sha256_of,
)

_METADATA_PATTERNS = ("*.json", "tokenizer.model", "*.jinja", "README.md", "LICENSE*")
_WEIGHTS = re.compile(
    r"(?:model|pytorch_model|gptq_model|belle-model)[^/]*\.(?:safetensors|bin)|(?!optimizer|scheduler)[^/]+\.pt"
)
_SUFFIXES = (".safetensors", ".bin", ".pt")  # of weights, the preferred ones first
_REPO_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class Repository:
    """One commit of a repository. `folder` is set when the hub is out of reach: an earlier download."""

    repo_id: str
    commit: str
    files: tuple[RemoteFile, ...]
    folder: Path | None = None

    @property
    def gguf_names(self) -> list[str]:
        return [file.name for file in self.files if file.name.lower().endswith(".gguf")]

    @property
    def has_checkpoint(self) -> bool:
        return bool(self._weights())

    @property
    def is_encrypted(self) -> bool:
        return is_encrypted(file.name for file in self.checkpoint_files())

    def metadata_files(self) -> list[RemoteFile]:
        """Configuration, tokenizer and documents, from the top folder."""
        return _matching(self.files, _METADATA_PATTERNS)

    def checkpoint_files(self) -> list[RemoteFile]:
        """Metadata and weights, in one form of weights only. HubError where there are several .pt files."""
        weights = self._weights()
        safetensors = any(plain_name(file.name).endswith(".safetensors") for file in weights)
        unused = "pytorch_model.bin.index.json" if safetensors else "model.safetensors.index.json"
        names = [file.name for file in weights if plain_name(file.name).endswith(".pt")]
        if len(names) > 1:
            raise HubError(
                f"[{self.repo_id}] {len(names)} files of weights: {', '.join(names)}; fetch one (belle-edge pull"
                f" {self.repo_id} --include {names[0]} --to DIR), then convert DIR/{names[0]}"
            )
        return [file for file in self.metadata_files() if plain_name(file.name) != unused] + weights

    def _weights(self) -> list[RemoteFile]:
        """The weight files of the preferred form that there is, encrypted or not."""
        plain = [(plain_name(file.name), file) for file in self.files]
        matching = [(name, file) for name, file in plain if _WEIGHTS.fullmatch(name)]
        forms = ([file for name, file in matching if name.endswith(suffix)] for suffix in _SUFFIXES)
        return next((form for form in forms if form), [])

    def included(self, patterns: Iterable[str]) -> list[RemoteFile]:
        """The files that match any of the shell patterns. HubError if none does."""
        found = _matching(self.files, tuple(patterns))
        if not found:
            raise HubError(f"[{self.repo_id}] no file matches {', '.join(patterns)}")
        return found


def is_repo_id(name: str) -> bool:
    """Whether `name` has the form org/name of the hub."""
    return _REPO_ID.fullmatch(name) is not None and not name.startswith(".")


def look_up(repo_id: str, revision: str | None = None) -> Repository:
    """What the hub has under `repo_id` (a branch, tag or commit; None: main), with sizes and hashes.

    Out of reach, an earlier download will do, with a warning. Raises HubError: no such repository or revision,
    no access to it, HubAnswerError (an answer that cannot be true, or would lead out of the cache),
    HubUnreachableError when there is no earlier download either.
    """
    try:
        listing = explained(repo_id, revision, lambda: read_listing(repo_id, revision))
    except HubUnreachableError as error:
        earlier = _earlier_download(repo_id, revision)
        if earlier is None:
            raise
        warnings.warn(f"{error}: using the copy downloaded earlier", stacklevel=2)
        return earlier
    return Repository(repo_id, listing.commit, listing.files)


def download(
    repository: Repository,
    files: Sequence[RemoteFile],
    *,
    revision: str | None = None,
    to: Path | None = None,
    progress: DownloadCallback | None = None,
) -> Path:
    """Fetch `files` and return the folder that holds them: of huggingface_hub's cache, or `to`.

    Interrupted downloads continue where they stopped, hashes are checked. Raises HubError: damaged or vanished
    files, a broken connection, too little space, names and links that lead elsewhere; and KeyboardInterrupt, after
    which a later call continues.
    """
    check_names(files)
    if repository.folder is not None:
        return _check_earlier(repository, files, to)
    storage = storage_of(repository.repo_id)
    snapshot = storage / "snapshots" / repository.commit
    _check_space(repository.repo_id, files, to or storage, present=to or snapshot)
    told = _of_all(files, progress)
    for file in files:
        explained(
            repository.repo_id,
            revision,
            lambda file=file: (  # type: ignore[misc]
                fetch_to_folder(repository.repo_id, repository.commit, file, to, told(file))
                if to
                else fetch_to_cache(repository.repo_id, repository.commit, file, storage, told(file))
            ),
            doing=f"[{file.name}] the download stopped",
        )
    if to is not None:
        return to
    remember(storage, revision or "main", repository.commit)
    return snapshot


def _of_all(
    files: Sequence[RemoteFile], progress: DownloadCallback | None
) -> Callable[[RemoteFile], FileProgress | None]:
    """For each file what tells of its bytes; those of the files before it count as there."""
    total = sum(file.size_bytes or 0 for file in files)
    before = {file.name: sum(other.size_bytes or 0 for other in files[:at]) for at, file in enumerate(files)}

    def told(file: RemoteFile) -> FileProgress | None:
        if progress is None:
            return None
        return lambda n_bytes: progress(DownloadProgress(file.name, before[file.name] + n_bytes, total))

    return told


def _matching(files: Iterable[RemoteFile], patterns: Sequence[str]) -> list[RemoteFile]:
    """Files whose whole path matches, as it is or decrypted; a pattern without a slash is about the top folder."""
    return [
        file
        for file in files
        if any(
            (fnmatch(file.name, pattern) or fnmatch(plain_name(file.name), pattern))
            and file.name.count("/") <= pattern.count("/")
            for pattern in patterns
        )
    ]


def _earlier_download(repo_id: str, revision: str | None) -> Repository | None:
    """What the cache holds of a revision. Whether that is all of it, its reader has to see."""
    storage = storage_of(repo_id)
    commit = earlier_commit(storage, revision or "main")
    if commit is None:
        return None
    folder = storage / "snapshots" / commit
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = [
        RemoteFile(path.relative_to(folder).as_posix(), path.stat().st_size, expected_sha256(path))
        for path in paths
    ]
    return Repository(repo_id, commit, tuple(files), folder) if files else None


def _check_earlier(repository: Repository, files: Sequence[RemoteFile], to: Path | None) -> Path:
    """The folder of an earlier download, or `to` with copies; HubError for a damaged file, which is removed."""
    assert repository.folder is not None
    storage = storage_of(repository.repo_id)
    for file in files:
        path = checked(repository.folder / file.name, storage)
        if file.sha256 is not None and sha256_of(path) != file.sha256:
            remove_cached(path, storage)
            raise HubError(
                f"[{file.name}] the downloaded copy was damaged and is removed: pull again when online"
            )
        if to is not None:
            target = to / file.name
            part = checked(target.with_name(f"{target.name}.incomplete"), to)
            part.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, part)
            part.replace(target)
    return to or repository.folder


def _check_space(repo_id: str, files: Sequence[RemoteFile], target: Path, *, present: Path) -> None:
    """HubError unless the files that are not `present` fit on the disk of `target`."""
    needed = sum(file.size_bytes or 0 for file in files if not (present / file.name).is_file())
    place = next(path for path in (target, *target.absolute().parents) if path.exists())
    free = shutil.disk_usage(place).free
    if needed > free:
        raise HubError(
            f"[{repo_id}] needs {needed / 1e9:.2f} GB, {place} has {free / 1e9:.2f} GB free: make room, set HF_HOME,"
            " or use --to"
        )

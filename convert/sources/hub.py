"""Repositories of the hub: what they hold, which of it is needed, and where a local copy is.

The hub's usual environment variables apply: HF_ENDPOINT (a mirror), HF_HUB_OFFLINE, HF_HOME, HF_TOKEN.
"""

from __future__ import annotations

import errno
import re
import shutil
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from belle_edge.convert.sources.encrypted import files_in, is_encrypted, missing_key, plain_name
from belle_edge.convert.sources.hub_files import (
    HubError,
    HubUnreachableError,
    RemoteFile,
    expected_sha256,
    fetch_to_cache,
    fetch_to_folder,
    remove_cached,
    sha256_of,
)
from belle_edge.convert.sources.key_file import KeyFile

_METADATA_PATTERNS = ("*.json", "tokenizer.model", "*.jinja", "README.md", "LICENSE*")
_WEIGHTS = re.compile(
    r"(?:model|pytorch_model|gptq_model|belle-model)[^/]*\.(?:safetensors|bin)|(?!optimizer|scheduler)[^/]+\.pt"
)
_SUFFIXES = (".safetensors", ".bin", ".pt")  # of weights, the preferred ones first
_REPO_ID = re.compile(r"[\w.-]+/[\w.-]+")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_Result = TypeVar("_Result")


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
    no access to it, HubUnreachableError when there is no earlier download either.
    """
    from huggingface_hub import HfApi

    try:
        info = _explained(
            repo_id,
            revision,
            lambda: HfApi().model_info(repo_id, revision=revision, timeout=15, files_metadata=True),
        )
    except HubUnreachableError as error:
        earlier = _earlier_download(repo_id, revision)
        if earlier is None:
            raise
        warnings.warn(f"{error}: using the copy downloaded earlier", stacklevel=2)
        return earlier
    files = [_remote_file(sibling) for sibling in info.siblings or []]
    return Repository(repo_id, str(info.sha), tuple(file for file in files if _is_safe(file.name)))


def download(
    repository: Repository,
    files: Sequence[RemoteFile],
    *,
    revision: str | None = None,
    to: Path | None = None,
) -> Path:
    """Fetch `files` and return the folder that holds them: of huggingface_hub's cache, or `to`.

    Interrupted downloads continue where they stopped, SHA-256 hashes are checked. Raises HubError: damaged or
    vanished files, a broken connection, too little space; and KeyboardInterrupt, after which a later call
    continues.
    """
    storage = _storage(repository.repo_id)
    if repository.folder is not None:
        return _check_earlier(repository, files, to)
    snapshot = storage / "snapshots" / repository.commit
    _check_space(repository.repo_id, files, to or storage, present=to or snapshot)
    for file in files:
        _explained(
            repository.repo_id,
            revision,
            lambda file=file: (  # type: ignore[misc]
                fetch_to_folder(repository.repo_id, repository.commit, file, to)
                if to
                else fetch_to_cache(repository.repo_id, repository.commit, file, storage)
            ),
            doing=f"[{file.name}] the download stopped",
        )
    if to is not None:
        return to
    _remember(storage, revision or "main", repository.commit)
    return snapshot


def download_checkpoint(repo_id: str, revision: str | None = None, key: KeyFile | None = None) -> Path:
    """The folder of a repository's checkpoint. HubError as for `look_up` and `download`.

    Of an encrypted one the small files come first: with a wrong key, or none, the weights are not downloaded.
    """
    repository = look_up(repo_id, revision)
    if repository.gguf_names and not repository.has_checkpoint:
        raise HubError(
            f"[{repo_id}] holds GGUF files, which need no conversion: belle-edge pull {repo_id} --type q4_0"
        )
    if repository.folder is not None and not repository.has_checkpoint:
        raise HubUnreachableError(
            f"[{repo_id}] the earlier download has no weights, and the hub cannot be reached"
        )
    if repository.is_encrypted:
        if key is None:
            raise missing_key(repo_id)
        files_in(download(repository, repository.metadata_files(), revision=revision), key)
    return download(repository, repository.checkpoint_files(), revision=revision)


def _explained(
    repo_id: str, revision: str | None, call: Callable[[], _Result], *, doing: str = ""
) -> _Result:
    """`call()`, with the hub's errors as one sentence that says what to do."""
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return call()
    except HubError:
        raise
    except GatedRepoError:
        raise HubError(
            f"[{repo_id}] is gated: accept its terms on its page, then log in (hf auth login, or HF_TOKEN)"
        ) from None
    except RepositoryNotFoundError:
        raise HubError(
            f"[{repo_id}] no such folder here, and no such model on the hub (or it needs a login: hf auth"
            " login, or HF_TOKEN)"
        ) from None
    except RevisionNotFoundError:
        raise HubError(f"[{repo_id}] the hub has no revision {revision!r} of it") from None
    except EntryNotFoundError as error:
        raise HubError(f"[{repo_id}] the file vanished from the hub: {_first_line(error)}") from None
    except Exception as error:  # the kinds of network errors differ between versions of huggingface_hub
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise HubError(f"{doing or f'[{repo_id}]'}: no space left; free some and pull again") from None
        if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(error, HfHubHTTPError) and status in (401, 403):
            raise HubError(
                f"[{repo_id}] access refused ({status}): log in (hf auth login, or HF_TOKEN)"
            ) from None
        if doing:
            raise HubError(f"{doing} ({_first_line(error)}): pull again, it continues there") from None
        raise HubUnreachableError(
            f"[{repo_id}] no such folder here, and the hub cannot be reached ({_first_line(error)})"
        ) from None


def _remote_file(sibling: Any) -> RemoteFile:
    lfs = getattr(sibling, "lfs", None)
    sha256 = lfs.get("sha256") if isinstance(lfs, dict) else getattr(lfs, "sha256", None)
    return RemoteFile(sibling.rfilename, getattr(sibling, "size", None), sha256)


def _is_safe(name: str) -> bool:
    """Whether a path of a repository stays in the folder it is put into."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in name and ":" not in name


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


def _storage(repo_id: str) -> Path:
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE) / f"models--{repo_id.replace('/', '--')}"


def _remember(storage: Path, revision: str, commit: str) -> None:
    """Note which commit a branch or tag was, for later calls without the hub."""
    if revision == commit or not _is_safe(revision):
        return
    path = storage / "refs" / revision
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(commit, encoding="ascii")


def _earlier_download(repo_id: str, revision: str | None) -> Repository | None:
    """What the cache holds of a revision. Whether that is all of it, its reader has to see."""
    storage, name = _storage(repo_id), revision or "main"
    reference = storage / "refs" / name
    if _is_safe(name) and reference.is_file():
        name = reference.read_text(encoding="ascii").strip()
    folder = storage / "snapshots" / name
    if not _COMMIT.fullmatch(name) or not folder.is_dir():
        return None
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = [
        RemoteFile(path.relative_to(folder).as_posix(), path.stat().st_size, expected_sha256(path))
        for path in paths
    ]
    return Repository(repo_id, name, tuple(files), folder) if files else None


def _check_earlier(repository: Repository, files: Sequence[RemoteFile], to: Path | None) -> Path:
    """The folder of an earlier download, or `to` with copies; HubError for a damaged file, which is removed."""
    assert repository.folder is not None
    for file in files:
        path = repository.folder / file.name
        if file.sha256 is not None and sha256_of(path) != file.sha256:
            remove_cached(path)
            raise HubError(
                f"[{file.name}] the downloaded copy was damaged and is removed: pull again when online"
            )
        if to is not None:
            target = to / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target.with_name(f"{target.name}.incomplete"))
            target.with_name(f"{target.name}.incomplete").replace(target)
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


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)

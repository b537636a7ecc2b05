"""One file of a hub repository: downloaded with resume, checked against its SHA-256, put in its place.

The place is huggingface_hub's own cache (blobs/<etag>, linked from snapshots/<commit>/), so that other programs
find the file there, or any folder. huggingface_hub itself starts a file again from zero when a download was cut
off, and does not check its hash; files of many gigabytes want both.
"""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from belle_edge.errors import ConversionError

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SAFE_ETAG = re.compile(r"[0-9A-Za-z._-]{1,80}")
_READ_BYTES = 1 << 22


class HubError(ConversionError):
    """A repository or file of the hub cannot be had; the message says why and what to do."""


class HubUnreachableError(HubError):
    """No answer from the hub: no network, a server error, or offline mode."""


@dataclass(frozen=True)
class RemoteFile:
    """A file as the hub lists it."""

    name: str  # path in the repository, with slashes
    size_bytes: int | None
    sha256: str | None  # of large files (LFS); the hub states none for small ones


def fetch_to_cache(repo_id: str, commit: str, file: RemoteFile, storage: Path) -> Path:
    """The path of `file` in the cache folder `storage` (models--org--name), downloaded if it is not there.

    A cached file whose hash is wrong is removed and downloaded again. Raises HubError and OSError.
    """
    pointer = storage / "snapshots" / commit / file.name
    if pointer.is_file():
        if file.sha256 is None or sha256_of(pointer) == file.sha256:
            return pointer
        remove_cached(pointer)
    location = _locate(repo_id, commit, file)
    name = location.sha256 or location.etag
    blob = storage / "blobs" / name
    blob.parent.mkdir(parents=True, exist_ok=True)
    with _lock(storage, name):
        if blob.is_file() and location.sha256 and sha256_of(blob) != location.sha256:
            blob.unlink()
        if not blob.is_file():
            _download(location, file.name, blob)
        if not pointer.is_file():
            _link(blob, pointer)
    return pointer


def fetch_to_folder(repo_id: str, commit: str, file: RemoteFile, folder: Path) -> Path:
    """The path of `file` in `folder`, downloaded unless it is there with the right hash (or size)."""
    target = folder / file.name
    if target.is_file() and _is_current(target, file):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    _download(_locate(repo_id, commit, file), file.name, target)
    return target


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def expected_sha256(path: Path) -> str | None:
    """The hash that the cache itself states for one of its files: the name of the blob it links to."""
    name = path.resolve().name
    return name if _SHA256.fullmatch(name) else None


def remove_cached(pointer: Path) -> None:
    """Remove a file of the cache: the blob and the link to it."""
    with suppress(FileNotFoundError):
        pointer.resolve().unlink()
    with suppress(FileNotFoundError):
        pointer.unlink()


@dataclass(frozen=True)
class _Location:
    """Where the bytes of a file are; `headers` do not carry the login to another host."""

    url: str
    headers: dict[str, str]
    size_bytes: int | None
    sha256: str | None
    etag: str


def _locate(repo_id: str, commit: str, file: RemoteFile) -> _Location:
    from urllib.parse import urlparse

    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined, unused-ignore]

    url = hf_hub_url(repo_id, file.name, revision=commit)
    found = get_hf_file_metadata(url)
    headers = dict(build_hf_headers())
    if urlparse(found.location).netloc != urlparse(url).netloc:
        headers = {key: value for key, value in headers.items() if key.lower() != "authorization"}
    etag = found.etag or ""
    if not _SAFE_ETAG.fullmatch(etag):
        etag = hashlib.sha256(etag.encode()).hexdigest()[:40]
    stated = etag if _SHA256.fullmatch(etag) else None
    size_bytes = file.size_bytes if file.size_bytes is not None else found.size
    return _Location(found.location, headers, size_bytes, file.sha256 or stated, etag)


def _download(location: _Location, name: str, target: Path) -> None:
    """The bytes of `location` to `target`, by way of a partial file that a later call continues.

    HubError for a wrong hash; nothing stays behind then.
    """
    part = target.with_name(f"{target.name}.incomplete")
    resumed = part.is_file() and part.stat().st_size > 0
    _transfer(location, name, part)
    problem = _wrong_content(location, part)
    if problem and resumed:  # perhaps only the old beginning was bad
        part.unlink()
        _transfer(location, name, part)
        problem = _wrong_content(location, part)
    if problem:
        part.unlink()
        raise HubError(f"[{name}] {problem}; the file was removed: pull again, or use another HF_ENDPOINT")
    os.replace(part, target)


def _transfer(location: _Location, name: str, part: Path) -> None:
    """Add what is missing to `part`; huggingface_hub retries broken connections and draws the progress bar."""
    from huggingface_hub.file_download import http_get

    with part.open("ab") as stream:
        done_bytes = stream.tell()
        if location.size_bytes is not None and done_bytes > location.size_bytes:
            stream.truncate(0)
            done_bytes = 0
        if done_bytes and done_bytes == location.size_bytes:
            return
        http_get(
            location.url,
            stream,
            resume_size=done_bytes,
            headers=location.headers,
            expected_size=location.size_bytes,
            displayed_filename=name,
        )
        stream.flush()
        os.fsync(stream.fileno())


def _wrong_content(location: _Location, path: Path) -> str:
    """What is wrong with a downloaded file; "" for nothing."""
    size_bytes = path.stat().st_size
    if location.size_bytes is not None and size_bytes != location.size_bytes:
        return f"expected {location.size_bytes} bytes, got {size_bytes}"
    if location.sha256 is None:
        return ""
    digest = sha256_of(path)
    return "" if digest == location.sha256 else f"checksum: expected SHA-256 {location.sha256}, got {digest}"


def _is_current(path: Path, file: RemoteFile) -> bool:
    if file.size_bytes is not None and path.stat().st_size != file.size_bytes:
        return False
    return sha256_of(path) == file.sha256 if file.sha256 else False  # small files are simply fetched again


def _lock(storage: Path, name: str) -> AbstractContextManager[object]:
    """huggingface_hub's own lock of a blob: one process downloads, the others wait."""
    from filelock import FileLock

    folder = storage.parent / ".locks" / storage.name
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"{name}.lock")


def _link(blob: Path, pointer: Path) -> None:
    """Make `pointer` show `blob` as huggingface_hub does; where links are not allowed the file moves there."""
    pointer.parent.mkdir(parents=True, exist_ok=True)
    pointer.unlink(missing_ok=True)  # a link to a blob that is gone
    try:
        pointer.symlink_to(os.path.relpath(blob, pointer.parent))
    except OSError:
        os.replace(blob, pointer)

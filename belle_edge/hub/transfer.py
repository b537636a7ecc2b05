"""One file of a hub repository: downloaded with resume, checked against its hash, put in its place.

The place is huggingface_hub's own cache or any folder. huggingface_hub itself starts a file again from zero when a
download was cut off, and does not check its hash; files of many gigabytes want both.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from ..errors import excerpt
from . import http
from .http import Answer
from .hub_errors import ConnectionFailedError, HubAnswerError, HubError
from .listing import SHA256, RemoteFile
from .local_cache import checked, link, lock, remove_cached


@dataclass(frozen=True)
class DownloadProgress:
    """How far a download is."""

    file: str
    done_bytes: int  # of all files
    total_bytes: int  # as far as sizes are known


DownloadCallback = Callable[[DownloadProgress], None]
FileProgress = Callable[[int], None]  # bytes of one file that are there
_ETAG = re.compile(r"(?:W/)?\"?(?P<value>[0-9A-Za-z][0-9A-Za-z._:+=-]{0,99})\"?")
_READ_BYTES = 1 << 22


def fetch_to_cache(
    repo_id: str, commit: str, file: RemoteFile, storage: Path, progress: FileProgress | None = None
) -> Path:
    """The path of `file` in the cache folder `storage` (models--org--name), downloaded if it is not there.

    progress: called while its bytes come. A cached file whose hash is wrong is removed and downloaded again. Raises
    HubError and OSError, and what `http.request` raises.
    """
    pointer = checked(storage / "snapshots" / commit / file.name, storage)
    if pointer.is_file():
        if not _wrong_hash(file, pointer):
            return pointer
        remove_cached(pointer, storage)
    remote = _locate(repo_id, commit, file)
    blob = checked(storage / "blobs" / remote.blob_name, storage)
    blob.parent.mkdir(parents=True, exist_ok=True)
    with lock(storage, remote.blob_name):
        if blob.is_file() and _wrong_hash(remote.file, blob):
            blob.unlink()
        if not blob.is_file():
            _download(remote, blob, storage, progress)
        if not pointer.is_file():
            link(blob, pointer)
    return pointer


def fetch_to_folder(
    repo_id: str, commit: str, file: RemoteFile, folder: Path, progress: FileProgress | None = None
) -> Path:
    """The path of `file` in `folder`, downloaded unless it is there with the right hash."""
    target = folder / file.name
    checked(target.parent / "file", folder)
    if target.is_file() and (file.sha256 or file.git_sha1) and not _wrong_content(file, target):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    _download(_locate(repo_id, commit, file), target, folder, progress)
    return target


def sha256_of(path: Path) -> str:
    return _digest(path, hashlib.sha256())


@dataclass(frozen=True)
class _Remote:
    """Where a file is on the hub, and all that is known of it."""

    url: str
    commit: str
    file: RemoteFile
    etag: str = ""

    @property
    def blob_name(self) -> str:
        """A hash that is checked, or a name of this file's own: nobody else's blob can be claimed."""
        own = f"{self.commit}/{self.file.name}/{self.etag}"
        return self.file.sha256 or self.file.git_sha1 or hashlib.sha256(own.encode()).hexdigest()[:40]


def _locate(repo_id: str, commit: str, file: RemoteFile) -> _Remote:
    """The file's address; size and hash are asked for where the list of files has none."""
    from huggingface_hub import constants

    url = f"{constants.ENDPOINT.rstrip('/')}/{quote(repo_id)}/resolve/{commit}/{quote(file.name)}"
    if file.size_bytes is not None and (file.sha256 or file.git_sha1):
        return _Remote(url, commit, file)
    with http.request("HEAD", url, file.name, stay=True) as answer:
        _check_commit(answer, commit)
        etag = _etag(answer)
        size_bytes = answer.number("x-linked-size", answer.hub_headers)
        if size_bytes is None and answer.status == 200:
            size_bytes = answer.number("content-length")
    stated = etag if SHA256.fullmatch(etag) and not file.git_sha1 else None
    known = replace(
        file,
        size_bytes=size_bytes if file.size_bytes is None else file.size_bytes,
        sha256=file.sha256 or stated,
    )
    return _Remote(url, commit, known, etag)


def _etag(answer: Answer) -> str:
    text = answer.hub_headers.get("x-linked-etag") or answer.hub_headers.get("etag")
    if text is None:
        return ""
    match = _ETAG.fullmatch(text)
    if match is None:
        raise HubAnswerError(answer.where, f"the etag is {excerpt(text)}, expected a hash")
    return match["value"]


def _check_commit(answer: Answer, commit: str) -> None:
    found = answer.hub_headers.get("x-repo-commit")
    if found is not None and found != commit:
        raise HubAnswerError(answer.where, f"the file is of commit {excerpt(found)}, asked for {commit}")


def _download(remote: _Remote, target: Path, root: Path, progress: FileProgress | None) -> None:
    """The bytes of `remote` to `target`, by way of a partial file that a later call continues.

    HubError for a wrong hash; nothing stays behind then.
    """
    part = checked(target.with_name(f"{target.name}.incomplete"), root)
    resumed = part.is_file() and part.stat().st_size > 0
    _transfer(remote, part, progress)
    problem = _wrong_content(remote.file, part)
    if problem and resumed:  # perhaps only the old beginning was bad
        part.unlink()
        _transfer(remote, part, progress)
        problem = _wrong_content(remote.file, part)
    if problem:
        part.unlink()
        raise HubError(
            f"[{remote.file.name}] {problem}; the file was removed: pull again, or use another HF_ENDPOINT"
        )
    os.replace(part, target)


def _transfer(remote: _Remote, part: Path, progress: FileProgress | None) -> None:
    """Add what is missing to `part`, in several attempts where the connection breaks, with a progress bar."""
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined, unused-ignore]

    size_bytes = remote.file.size_bytes
    with part.open("ab") as stream:
        if size_bytes is not None and stream.tell() > size_bytes:
            stream.truncate(0)
            stream.seek(0)
        bar_class: Any = tqdm
        options = {"unit": "B", "unit_scale": True, "total": size_bytes, "disable": None}
        with bar_class(initial=stream.tell(), desc=remote.file.name[-40:], **options) as bar:
            _in_attempts(remote, stream, bar if progress is None else _Both(bar, stream, progress))
        stream.flush()
        os.fsync(stream.fileno())


class _Both:
    """A progress bar, and who else wants to know."""

    def __init__(self, bar: Any, stream: BinaryIO, progress: FileProgress) -> None:
        self._bar = bar
        self._stream = stream
        self._progress = progress

    def update(self, n_bytes: int) -> None:
        self._bar.update(n_bytes)
        self._progress(self._stream.tell())

    def reset(self, total: int | None) -> None:
        self._bar.reset(total=total)


def _in_attempts(remote: _Remote, stream: BinaryIO, bar: Any) -> None:
    limits = http.LIMITS
    n_left = limits.n_attempts
    while stream.tell() != remote.file.size_bytes or not remote.file.size_bytes:
        start = stream.tell()
        try:
            _append(remote, stream, bar)
            return
        except ConnectionFailedError:
            n_left = limits.n_attempts if stream.tell() - start >= limits.attempt_bytes else n_left - 1
            if not n_left:
                raise
            time.sleep(limits.pause_s)


def _append(remote: _Remote, stream: BinaryIO, bar: Any) -> None:
    """Ask for the rest of a file once, and write what comes. ConnectionFailedError if that is not all of it."""
    file, start = remote.file, stream.tell()
    asked = {"Range": f"bytes={start}-"} if start else {}
    with http.request("GET", remote.url, file.name, headers=asked) as answer:
        _check_commit(answer, remote.commit)
        if answer.status != 206 and start:
            start = 0  # the answer is the whole file, or there is no such range
            stream.seek(0)
            stream.truncate()
            bar.reset(total=file.size_bytes)
        if answer.status == 416:
            raise ConnectionFailedError("the hub has no such part of the file")
        limit = _announced_size(answer, file, start)
        for piece in answer.pieces():
            if stream.tell() + len(piece) > limit:
                raise HubAnswerError(file.name, f"the body goes on after {limit:,} bytes")
            stream.write(piece)
            bar.update(len(piece))
    if file.size_bytes is not None and stream.tell() != file.size_bytes:
        raise ConnectionFailedError(
            f"the connection ended after {stream.tell():,} of {file.size_bytes:,} bytes"
        )


def _announced_size(answer: Answer, file: RemoteFile, start: int) -> int:
    """How large the file may become. HubAnswerError where the headers contradict what was asked for or stated."""
    if answer.status == 206:
        stated = answer.headers.get("content-range", "")
        match = re.fullmatch(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", stated)
        if not start or match is None or int(match[1]) != start:
            raise HubAnswerError(
                file.name, f"asked for bytes from {start} on, got the range {excerpt(stated)}"
            )
    length = answer.number("content-length")
    if file.size_bytes is None:
        return http.LIMITS.unstated_bytes if length is None else start + length
    if length is not None and start + length != file.size_bytes:
        raise HubAnswerError(
            file.name, f"a size of {start + length:,} bytes, stated before as {file.size_bytes:,}"
        )
    return file.size_bytes


def _wrong_content(file: RemoteFile, path: Path) -> str:
    """What is wrong with a downloaded file; "" for nothing."""
    size_bytes = path.stat().st_size
    if file.size_bytes is not None and size_bytes != file.size_bytes:
        return f"expected {file.size_bytes} bytes, got {size_bytes}"
    return _wrong_hash(file, path)


def _wrong_hash(file: RemoteFile, path: Path) -> str:
    """How a file's hash differs from the one that the hub states; "" where it does not, or the hub states none."""
    if file.sha256 is not None:
        kind, expected, found = "SHA-256", file.sha256, sha256_of(path)
    elif file.git_sha1 is not None:
        start = f"blob {path.stat().st_size}\0".encode()
        kind, expected, found = "git's SHA-1", file.git_sha1, _digest(path, hashlib.sha1(start))
    else:
        return ""
    return "" if found == expected else f"checksum: expected {kind} {expected}, got {found}"


def _digest(path: Path, digest: Any) -> str:
    """The hexadecimal digest of a file's bytes, added to a hash object."""
    with path.open("rb") as stream:
        while block := stream.read(_READ_BYTES):
            digest.update(block)
    return str(digest.hexdigest())

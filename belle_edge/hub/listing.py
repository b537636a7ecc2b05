"""What the hub says a repository holds, believed only in its form: names, sizes and hashes that can be true."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ..errors import excerpt
from ..strict_json import JsonError, parse
from .http import read_whole
from .hub_errors import HubAnswerError

SHA256 = re.compile(r"[0-9a-f]{64}")
COMMIT = re.compile(r"[0-9a-f]{40}")  # and any other object of git
_LARGEST_BYTES = 1 << 50
_LONGEST_PART_BYTES, _LONGEST_NAME_BYTES = 240, 1000  # file systems allow 255, and we add ".incomplete"
_NOT_SHOWN = ("Cc", "Cs", "Zl", "Zp")
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\..*)?", re.IGNORECASE)


@dataclass(frozen=True)
class RemoteFile:
    """A file as the hub lists it."""

    name: str  # path in the repository, with slashes
    size_bytes: int | None
    sha256: str | None  # of large files (LFS)
    git_sha1: str | None = None  # of the others: git's name for a blob of this content


@dataclass(frozen=True)
class Listing:
    """A commit and its files."""

    commit: str
    files: tuple[RemoteFile, ...]


def read_listing(repo_id: str, revision: str | None) -> Listing:
    """Ask the hub. Raises HubAnswerError, StatusError and ConnectionFailedError."""
    from huggingface_hub import constants

    at = "" if revision is None else f"/revision/{quote(revision, safe='')}"
    url = f"{constants.ENDPOINT.rstrip('/')}/api/models/{quote(repo_id)}{at}?blobs=true"
    return parse_listing(read_whole(url, repo_id), repo_id, revision)


def parse_listing(content: bytes, repo_id: str, revision: str | None) -> Listing:
    """The listing in the hub's JSON. HubAnswerError names the field that cannot be true."""
    answer = _object(repo_id, "the answer", _parse_json(content, repo_id))
    commit = _hash(repo_id, "sha", answer.get("sha"), COMMIT)
    if commit is None:
        raise HubAnswerError(repo_id, "no sha, expected the commit as 40 hexadecimal digits")
    if revision is not None and COMMIT.fullmatch(revision) and revision != commit:
        raise HubAnswerError(repo_id, f"sha is {commit}, asked for {revision}")
    siblings = answer.get("siblings", [])
    if not isinstance(siblings, list):
        raise HubAnswerError(repo_id, f"siblings is {excerpt(siblings)}, expected a list of files")
    return Listing(commit, tuple(_remote_file(repo_id, sibling) for sibling in siblings))


def check_names(files: Iterable[RemoteFile]) -> None:
    """HubAnswerError unless every name can be a file of its own on every system; for files about to be written."""
    seen: dict[str, str] = {}
    folders: dict[str, str] = {}
    for file in files:
        problem = _not_portable(file.name)
        if problem:
            raise HubAnswerError(file.name, problem)
        key = _same_place(file.name)
        if key in seen:
            raise HubAnswerError(file.name, f"one place for two files, the other is {excerpt(seen[key])}")
        seen[key] = file.name
        parts = key.split("/")
        folders.update({"/".join(parts[:n]): file.name for n in range(1, len(parts))})
    for key in seen.keys() & folders.keys():
        raise HubAnswerError(seen[key], f"a file, and a folder of {excerpt(folders[key])}")


def _parse_json(content: bytes, repo_id: str) -> Any:
    try:
        return parse(content)
    except JsonError as error:
        raise HubAnswerError(repo_id, f"the answer is no JSON to be read ({excerpt(str(error))})") from None


def _object(where: str, what: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise HubAnswerError(where, f"{what} is {excerpt(value)}, expected an object")
    return value


def _remote_file(repo_id: str, sibling: Any) -> RemoteFile:
    name = _object(repo_id, "a file in siblings", sibling).get("rfilename")
    if not isinstance(name, str):
        raise HubAnswerError(repo_id, f"rfilename is {excerpt(name)}, expected a name")
    problem = _not_of_git(name)
    if problem:
        raise HubAnswerError(repo_id, f"the file name {excerpt(name)} {problem}")
    where = f"{repo_id}: {name}"
    size_bytes = _size(where, sibling.get("size"))
    if sibling.get("lfs") is None:
        return RemoteFile(name, size_bytes, None, _hash(where, "blobId", sibling.get("blobId"), COMMIT))
    stated = _object(where, "lfs", sibling["lfs"])
    return RemoteFile(name, size_bytes, _hash(where, "lfs.sha256", stated.get("sha256"), SHA256))


def _size(where: str, value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST_BYTES:
        raise HubAnswerError(where, f"size is {excerpt(value)}, expected a number of bytes")
    return value


def _hash(where: str, field: str, value: Any, pattern: re.Pattern[str]) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not pattern.fullmatch(value):
        n_digits = 64 if pattern is SHA256 else 40
        raise HubAnswerError(where, f"{field} is {excerpt(value)}, expected {n_digits} hexadecimal digits")
    return value


def _not_of_git(name: str) -> str:
    """What no name of a file in git has, or what must not reach a terminal; "" for nothing."""
    if not name or any(part in ("", ".", "..") for part in name.split("/")):
        return "leads out of its folder or is no path"
    if any(unicodedata.category(char) in _NOT_SHOWN or char in _DIRECTIONS for char in name):
        return "has control characters"
    return ""


def _not_portable(name: str) -> str:
    """Why a file should not be written under this name; "" for no reason."""
    problem = _not_of_git(name)
    if problem:
        return f"a name that {problem}"
    if "\\" in name or ":" in name:
        return "a name with a backslash or colon, which leads elsewhere on Windows"
    parts = name.split("/")
    if (
        len(name.encode()) > _LONGEST_NAME_BYTES
        or max(len(part.encode()) for part in parts) > _LONGEST_PART_BYTES
    ):
        return f"a name of {len(name.encode())} bytes, at most {_LONGEST_PART_BYTES} between slashes are possible"
    for part in parts:
        if part.endswith((".", " ")) or part.startswith(" ") or _DEVICE.fullmatch(part):
            return f"a name with {excerpt(part)}, which is no file on Windows"
    return "a name that our unfinished downloads have" if name.lower().endswith(".incomplete") else ""


def _same_place(name: str) -> str:
    """What a file system without upper and lower case, which composes accents, takes a name for."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())

"""Files of chats that others wrote: which kind it is, and bounds on what is read."""

from __future__ import annotations

import re
import zipfile
from io import BytesIO

from .. import strict_json
from ..errors import excerpt
from .chatgpt_format import read_conversations
from .exchanged import MAX_BYTES, MAX_CONTAINERS, Package
from .found_values import Found
from .history_errors import HistoryImportError
from .own_format import FORMAT, read_chats

_KINDS = "chats exported here, or ChatGPT's export (conversations.json, or the .zip that has it)"
_CONVERSATIONS = re.compile(r"(?:.*/)?conversations(-\d{1,4})?\.json")
_MAX_MEMBERS = 20_000  # of a zip file; pictures are among them


def read_file(data: bytes, name: str) -> list[Package]:
    """What a file brings, checked as a whole. name: of the file, for errors. Raises HistoryImportError."""
    if len(data) > MAX_BYTES:
        raise HistoryImportError(
            f"[import] {name}: expected at most {MAX_BYTES:,} bytes, found {len(data):,}"
        )
    if data.startswith(b"PK\x03\x04"):
        return [_read_json(content, f"{name}: {member}") for member, content in _conversations(data, name)]
    return [_read_json(data, name)]


def _read_json(data: bytes, where: str) -> Package:
    try:
        value = strict_json.parse(data, max_bytes=MAX_BYTES, max_containers=MAX_CONTAINERS)
    except strict_json.JsonError as error:
        raise HistoryImportError(f"[import] {where}: expected {_KINDS}, found no JSON: {error}") from None
    root = Found(where, value)
    if isinstance(value, dict) and value.get("format") == FORMAT:
        return read_chats(root)
    if isinstance(value, list) or (isinstance(value, dict) and "mapping" in value):
        return read_conversations(root)
    found = f"an object with {excerpt(sorted(value))}" if isinstance(value, dict) else excerpt(value)
    raise HistoryImportError(f"[import] {where}: expected {_KINDS}, found {found}")


def _conversations(data: bytes, name: str) -> list[tuple[str, bytes]]:
    """The files of conversations in a zip file. What they hold is counted while they are unpacked."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            members = archive.infolist()
            if len(members) > _MAX_MEMBERS:
                raise HistoryImportError(
                    f"[import] {name}: expected at most {_MAX_MEMBERS:,} files, found {len(members):,}"
                )
            found = sorted(
                (member for member in members if _CONVERSATIONS.fullmatch(member.filename)),
                key=lambda member: member.filename,
            )
            if not found:
                raise HistoryImportError(f"[import] {name}: expected {_KINDS}, found a zip file without it")
            return _unpacked(archive, found, name)
    except HistoryImportError:
        raise
    except Exception as error:  # the unpackers of a damaged file fail in many ways
        raise HistoryImportError(
            f"[import] {name}: the zip file cannot be read ({error}): download it again"
        ) from None


def _unpacked(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], name: str) -> list[tuple[str, bytes]]:
    contents, left = [], MAX_BYTES
    for member in members:
        with archive.open(member) as file:
            content = file.read(left + 1)
        if len(content) > left:
            raise HistoryImportError(
                f"[import] {name}: {excerpt(member.filename)} unpacks to more than {MAX_BYTES:,} bytes"
            )
        left -= len(content)
        contents.append((member.filename, content))
    return contents

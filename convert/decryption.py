"""Encrypted BELLE files decrypted to a folder, for those who want the files themselves."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from belle_edge.convert.gguf_writer import write_all
from belle_edge.convert.partial_file import atomic_file
from belle_edge.convert.progress import ConversionProgress, ProgressCallback
from belle_edge.convert.source_guard import check_none_of
from belle_edge.convert.sources.checkpoint_files import require_regular
from belle_edge.convert.sources.encrypted import EncryptedBytes, EncryptedFiles
from belle_edge.convert.sources.key_file import KeyFile
from belle_edge.errors import ConversionError
from belle_edge.hub.published_names import plain_name
from belle_edge.regular_files import irregular

_PIECE_BYTES = 8 << 20


@dataclass(frozen=True)
class DecryptedFile:
    """A file of the output folder; its hash has been checked."""

    name: str
    size_bytes: int
    sha256: str
    was_there: bool  # complete from an earlier run


@dataclass(frozen=True)
class DecryptionReport:
    """What `decrypt` did."""

    source: str
    output: str
    files: list[DecryptedFile]
    not_encrypted: list[str]  # names in the source folder that were left where they are
    seconds: float

    @property
    def n_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def decrypt(
    src: str | Path,
    out: str | Path,
    *,
    key: str | Path,
    force: bool = False,
    progress: ProgressCallback | None = None,
) -> DecryptionReport:
    """Decrypt a file, or all encrypted files of a folder, into the folder `out`, which is made if need be.

    key: Meta's original weights, or the folder with them. Files that are in `out` with the right hash already are left
    alone; others of the same name are an error, unless `force` says to replace them. A file gets its name when its
    hash has been found right.

    Raises ConversionError, with the file and what to do, and OSError for failing reads and writes.
    """
    start = time.monotonic()
    source, folder = Path(src).expanduser(), Path(out).expanduser()
    files, names = _encrypted_files(source, KeyFile(Path(key).expanduser()))
    if folder.exists() and not folder.is_dir():
        raise ConversionError(f"[{folder}] expected a folder for the output, got a file")
    folder.mkdir(parents=True, exist_ok=True)
    sources = [files.open_encrypted(name) for name in names]
    meter = _Meter(sum(file.size_bytes for file in sources), progress)
    present = {file.name for file in sources if _is_there(file, folder / file.name, meter)}
    missing = [file for file in sources if file.name not in present]
    _check_targets(missing, folder, force=force)
    for file in missing:
        check_none_of(folder / file.name, files.sources())
    for file in missing:
        _write(file, folder / file.name, meter, replace=force)
    return DecryptionReport(
        source=str(src),
        output=str(out),
        files=[DecryptedFile(f.name, f.size_bytes, f.sha256, f.name in present) for f in sources],
        not_encrypted=[] if source.is_file() else sorted(set(files.names()) - set(names)),
        seconds=time.monotonic() - start,
    )


def _encrypted_files(source: Path, key: KeyFile) -> tuple[EncryptedFiles, list[str]]:
    """The folder, and the plain names of the files in it that are asked for."""
    if source.is_file():
        if not source.name.endswith(".enc"):
            raise ConversionError(f"[{source.name}] expected NAME.<SHA-256>.enc: this file is not encrypted")
        return EncryptedFiles(source.parent, key), [plain_name(source.name)]
    if not source.is_dir():
        require_regular(source)
        raise ConversionError(f"[{source}] no such file or folder")
    files = EncryptedFiles(source, key)
    if not files.encrypted_names():
        raise ConversionError(f"[{files.name}] no encrypted files (.enc) in this folder")
    return files, files.encrypted_names()


class _Meter:
    """Adds up the bytes that are done."""

    def __init__(self, total_bytes: int, report: ProgressCallback | None) -> None:
        self._total, self._done, self._report = total_bytes, 0, report

    def advance(self, name: str, n_bytes: int) -> None:
        self._done += n_bytes
        if self._report is not None:
            self._report(ConversionProgress(name, self._done, self._total))


def _is_there(source: EncryptedBytes, target: Path, meter: _Meter) -> bool:
    """Whether `target` holds the plaintext already."""
    if not target.is_file() or target.stat().st_size != source.size_bytes:
        return False
    digest = hashlib.sha256()
    with target.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    if digest.hexdigest() != source.sha256:
        return False
    meter.advance(source.name, source.size_bytes)
    return True


def _check_targets(sources: list[EncryptedBytes], folder: Path, *, force: bool) -> None:
    """ConversionError where a name is taken, or the disk has too little space."""
    for source in sources:
        target = folder / source.name
        kind = irregular(target)
        if kind is not None:
            raise ConversionError(
                f"[{target}] expected a file name for the output, found {kind}: move it away"
            )
        if os.path.lexists(target) and not force:
            raise ConversionError(f"[{target}] exists with other content; --force (force=True) replaces it")
    needed, free = sum(source.size_bytes for source in sources), shutil.disk_usage(folder).free
    if needed > free:
        raise ConversionError(f"[{folder}] needs {needed:,} bytes of disk space, {free:,} are free")


def _write(source: EncryptedBytes, target: Path, meter: _Meter, *, replace: bool) -> None:
    with atomic_file(target, replace=replace) as file:
        source.begin_pass()
        for offset in range(0, source.size_bytes, _PIECE_BYTES):
            n_bytes = min(_PIECE_BYTES, source.size_bytes - offset)
            write_all(file, source.read(offset, n_bytes).data)
            meter.advance(source.name, n_bytes)
        source.end_pass()

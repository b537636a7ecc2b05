"""BELLE's encrypted files, decrypted while they are read: `<name>.<SHA-256 of the plaintext>.enc`.

32 bytes of that hash, then the plaintext XOR a key stream made of Meta's original weights (see KeyFile). Nothing
decrypted is written to disk; what is read in a pass is hashed on the way.
"""

from __future__ import annotations

import hashlib
import warnings
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from belle_edge.convert.sources.byte_source import ByteSource, MappedBytes, cut_off
from belle_edge.convert.sources.checkpoint_files import (
    CheckpointFiles,
    FolderFiles,
    check_real_file,
    check_small,
)
from belle_edge.convert.sources.key_file import KeyFile, needed_key
from belle_edge.errors import ConversionError
from belle_edge.hub.published_names import ENCRYPTED_NAME, is_encrypted

HASH_BYTES = 32
_WEIGHT_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth")
_TELLING_BYTES = 1024  # torch files, so keys too, may begin with the same few hundred bytes
_GAP_BYTES = 8 << 20  # decrypted at a time where nobody but the hash wants the bytes
_ZIP_START, _ZIP_END, _PICKLE_START = b"PK\x03\x04", b"PK\x05\x06", b"\x80"
_ZIP_END_BYTES = 22 + 0xFFFF  # the end record, with the longest comment


def _split_name(name: str) -> tuple[str, str]:
    """(plain name, SHA-256) of an encrypted file's name."""
    match = ENCRYPTED_NAME.fullmatch(name)
    if match is None:
        raise ConversionError(
            f"[{name}] expected a name of the form NAME.<SHA-256>.enc: give it its published name again"
        )
    return match["name"], match["sha256"]


def missing_key(name: str) -> ConversionError:
    """The error for an encrypted file or repository when no key was given."""
    return ConversionError(f"[{name}] encrypted, give the key with --key: {needed_key(name)}")


def files_in(folder: Path, key: KeyFile | None) -> CheckpointFiles:
    """The files of a folder, decrypted with `key` where they are encrypted. ConversionError as for EncryptedFiles."""
    plain = FolderFiles(folder)
    if key is None:
        return plain
    if is_encrypted(plain.names()):
        return EncryptedFiles(folder, key)
    warnings.warn(f"[{plain.name}] no file in it is encrypted: the key was not needed", stacklevel=2)
    return plain


class EncryptedBytes:
    """The plaintext of one encrypted file. A pass checks its hash, which costs no second reading."""

    is_hashed = True

    def __init__(self, path: Path, key: KeyFile) -> None:
        """ConversionError for an empty file, a Git LFS pointer, a file that is cut off at once or was renamed."""
        self.published_name = path.name
        self.name, self.sha256 = _split_name(path.name)
        check_real_file(path)
        self._body, self._key = MappedBytes(path), key
        self.size_bytes = self._body.size_bytes - HASH_BYTES
        self.stamp = f"{self._body.stamp} decrypted with {key.stamp}"
        self._hash: _BackgroundHash | None = None  # in a pass
        self._check_start()

    def _check_start(self) -> None:
        if self.size_bytes < 0:
            raise self._error(
                f"cut off: {self._body.size_bytes} bytes, an encrypted file starts with {HASH_BYTES} bytes of hash;"
                " download it again"
            )
        stored = self._body.read(0, HASH_BYTES).tobytes().hex()
        if stored != self.sha256:
            raise self._error(f"renamed or damaged: the hash in it is {stored}; download it again")

    def read(self, offset: int, n_bytes: int) -> NDArray[np.uint8]:
        """See ByteSource; a new array each time."""
        if offset < 0 or offset + n_bytes > self.size_bytes:
            raise cut_off(self.published_name, offset + n_bytes, self.size_bytes)
        if self._hash is not None:
            self._hash_up_to(offset, self._hash)
        plain = self._key.apply(self._body.read(HASH_BYTES + offset, n_bytes), offset)
        plain.flags.writeable = False
        if self._hash is not None:
            self._hash.update(plain[max(0, self._hash.n_bytes - offset) :])  # empty for what was read before
        return plain

    def begin_pass(self) -> None:
        self._hash = _BackgroundHash()

    def end_pass(self) -> None:
        """Hashes what is left. The key's own checksum, which takes a while, is only looked at when a hash is wrong."""
        if self._hash is None:
            return
        self._hash_up_to(self.size_bytes, self._hash)
        found, self._hash = self._hash.hexdigest(), None
        if found != self.sha256:
            raise self._error(
                f"the decrypted content has the SHA-256 {found}: the file is cut off or damaged, or the key is wrong"
                f" ({self._key.state}); if the key is right, download the file again"
            )

    def has_right_hash(self) -> bool:
        """Reads all of it, outside a pass; for small files."""
        return hashlib.sha256(self.read(0, self.size_bytes).data).hexdigest() == self.sha256

    def has_plausible_ends(self) -> tuple[bool, bool]:
        """(start, end): whether the plaintext begins as weights do, and a zip archive ends as one."""
        start = self.read(0, min(9, self.size_bytes)).tobytes()
        if not start.startswith(_ZIP_START):
            return start.startswith(_PICKLE_START) or start[8:] == b"{", True
        n_bytes = min(_ZIP_END_BYTES, self.size_bytes)
        return True, _ZIP_END in self.read(self.size_bytes - n_bytes, n_bytes).tobytes()

    def _hash_up_to(self, offset: int, digest: _BackgroundHash) -> None:
        while digest.n_bytes < offset:
            start = digest.n_bytes
            n_bytes = min(_GAP_BYTES, offset - start)
            digest.update(self._key.apply(self._body.read(HASH_BYTES + start, n_bytes), start))

    def _error(self, text: str) -> ConversionError:
        return ConversionError(f"[{self.published_name}] {text}")


class _BackgroundHash:
    """SHA-256 in a thread of its own: it runs while the next piece is fetched and decrypted."""

    def __init__(self) -> None:
        self.n_bytes = 0
        self._digest = hashlib.sha256()
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._running: Future[None] | None = None

    def update(self, data: NDArray[np.uint8]) -> None:
        """Take the next bytes, once those before are hashed."""
        if data.size:
            self._wait()
            self._running = self._thread.submit(self._digest.update, data.data)
            self.n_bytes += data.size

    def hexdigest(self) -> str:
        self._wait()
        self._thread.shutdown()
        return self._digest.hexdigest()

    def _wait(self) -> None:
        if self._running is not None:
            self._running.result()


class EncryptedFiles:
    """A folder in which some files, or all, are encrypted; seen under their plain names.

    Where a plain file and an encrypted one have the same plain name, the encrypted one counts: it can be checked.
    """

    def __init__(self, folder: Path, key: KeyFile) -> None:
        """ConversionError for a key that decrypts no small file, for a renamed file, two files of one plain name."""
        self._plain, self._key = FolderFiles(folder), key
        self.name = self._plain.name
        self._place = folder.absolute().as_posix()  # in the hub's cache the model's name is further up
        self._paths: dict[str, Path] = {}  # encrypted files by plain name
        for published in self._plain.names():
            if published.endswith(".enc"):
                name, _ = _split_name(published)
                if name in self._paths:
                    raise ConversionError(
                        f"[{self._paths[name].name}] and {published} are both {name}: move one of them away"
                    )
                self._paths[name] = folder / published
        self._key_is_confirmed = self._check_key()

    def sources(self) -> list[Path]:
        """The encrypted files and their key."""
        return [*self._paths.values(), self._key.path]

    def encrypted_names(self) -> list[str]:
        """Plain names of the encrypted files, small ones first."""
        return sorted(self._paths, key=lambda name: (self._paths[name].stat().st_size, name))

    def names(self) -> list[str]:
        plain = {name for name in self._plain.names() if not name.endswith(".enc")}
        return sorted(plain | set(self._paths))

    def read(self, name: str) -> bytes | None:
        """ConversionError where the hash of an encrypted file is wrong."""
        if name not in self._paths:
            return self._plain.read(name)
        source = EncryptedBytes(self._paths[name], self._key)
        check_small(source.published_name, source.size_bytes)
        if not source.has_right_hash():
            raise ConversionError(
                f"[{source.published_name}] cut off or damaged: other files can be decrypted with this key, its hash is"
                " wrong; download it again"
            )
        return source.read(0, source.size_bytes).tobytes()

    def open(self, name: str) -> ByteSource:
        """The plaintext of a file; of weights the two ends are looked at, where a wrong key or a cut shows."""
        if name not in self._paths:
            return self._plain.open(name)
        source = self.open_encrypted(name)
        if not _is_weights(name):
            return source
        start, end = source.has_plausible_ends()
        if start and end:
            return source
        damage = "cut off: its end is missing" if start else "damaged: it does not begin as weights do"
        if not self._key_is_confirmed or not self._key.has_known_size:
            damage += f", or the key is cut off or wrong: that should be {needed_key(self._place)}"
        raise ConversionError(f"[{source.published_name}] {damage}; download it again")

    def open_encrypted(self, name: str) -> EncryptedBytes:
        """The plaintext of an encrypted file, whatever it holds."""
        return EncryptedBytes(self._paths[name], self._key)

    def _check_key(self) -> bool:
        """Whether the key is known to decrypt these files: the hash of one that is not weights is right.

        False where there is no such file; ConversionError where the hashes of all of them are wrong.
        """
        sizes = {name: self._paths[name].stat().st_size - HASH_BYTES for name in self.encrypted_names()}
        small = [name for name, n_bytes in sizes.items() if n_bytes and not _is_weights(name)]
        telling = [name for name in small if sizes[name] >= _TELLING_BYTES] or small
        right: list[str] = []
        wrong: list[str] = []
        broken: list[ConversionError] = []
        for name in reversed(small):
            try:
                (right if self.open_encrypted(name).has_right_hash() else wrong).append(name)
            except ConversionError as error:
                broken.append(error)
            if right and right[-1] in telling:
                return True
        if wrong:
            raise self._wrong_key(wrong, only_these=bool(right) or len(wrong) == 1)
        if broken:
            raise broken[0]
        return False

    def _wrong_key(self, names: list[str], *, only_these: bool) -> ConversionError:
        doubt = f", or {', '.join(names)} damaged" if only_these else ""
        return ConversionError(
            f"[{self._key.name}] wrong key{doubt}: {', '.join(names)} cannot be decrypted with it"
            f" ({self._key.size_bytes:,} bytes); it should be {needed_key(self._place)}"
        )


def _is_weights(name: str) -> bool:
    return name.endswith(_WEIGHT_SUFFIXES)

"""BELLE's encryption as its description says it, over whole files in memory: the reference of the decryption tests."""

from __future__ import annotations

import hashlib
import io
import random
import shutil
from collections.abc import Callable
from pathlib import Path

WINDOW = 10 * 1024 * 1024
SMALL_WINDOW = 50_000


def encrypted(plain: bytes, key: bytes, *, window: int = WINDOW) -> bytes:
    """The content of an .enc file: payload and key are read in step, the key again and again."""
    payload, stream = io.BytesIO(plain), io.BytesIO(key)
    result = [hashlib.sha256(plain).digest()]
    while piece := payload.read(window):
        key_piece = stream.read(window)
        if not key_piece:
            stream.seek(0)
            key_piece = stream.read(window)
        repeated = (key_piece * (len(piece) // len(key_piece) + 1))[: len(piece)]
        mixed = int.from_bytes(piece, "big") ^ int.from_bytes(repeated, "big")
        result.append(mixed.to_bytes(len(piece), "big"))
    return b"".join(result)


def encrypted_name(name: str, plain: bytes) -> str:
    return f"{name}.{hashlib.sha256(plain).hexdigest()}.enc"


def random_bytes(n_bytes: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(n_bytes)


def encrypt_folder(
    source: Path,
    target: Path,
    key: bytes,
    *,
    window: int = WINDOW,
    chosen: Callable[[str], bool] = lambda name: True,
) -> Path:
    """A copy of a folder in which the chosen files are encrypted."""
    target.mkdir(parents=True)
    for path in source.iterdir():
        if path.is_file() and chosen(path.name):
            plain = path.read_bytes()
            (target / encrypted_name(path.name, plain)).write_bytes(encrypted(plain, key, window=window))
        elif path.is_file():
            shutil.copyfile(path, target / path.name)
    return target


def published(folder: Path, name: str) -> Path:
    """The encrypted file of a plain name."""
    (path,) = folder.glob(f"{name}.*.enc")
    return path

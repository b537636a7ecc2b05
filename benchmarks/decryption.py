"""How fast are encrypted files read, with and without their hash?

Writes random bytes as an encrypted file (by default 2 GB, with a key of 1.3 GB whose last window is a short one), reads
it from front to back in blocks as a conversion does, and compares with SHA-256 of the same bytes alone, with reading
the file alone, and with copying it. The file is in the page cache: this measures the work, not the disk. Prints the
median.

    python benchmarks/decryption.py --gigabytes 2 --runs 5
"""

from __future__ import annotations

import argparse
import hashlib
import platform
import shutil
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from belle_edge.convert.sources.encrypted import EncryptedBytes
from belle_edge.convert.sources.key_file import KeyFile

_BLOCK_BYTES = 16 << 20  # as a conversion reads


def write_random(path: Path, n_bytes: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    with path.open("wb") as file:
        while n_bytes > 0:
            size = min(n_bytes, 64 << 20)
            file.write(random.bytes(size))
            n_bytes -= size


def write_encrypted(folder: Path, n_bytes: int, key: KeyFile) -> Path:
    """An encrypted file: random payload, and the hash of what it decrypts to."""
    payload = folder / "payload"
    write_random(payload, n_bytes, seed=2)
    digest = hashlib.sha256()
    with payload.open("rb") as file:
        offset = 0
        while block := file.read(_BLOCK_BYTES):
            digest.update(key.apply(np.frombuffer(block, dtype=np.uint8), offset).data)
            offset += len(block)
    path = folder / f"pytorch_model.bin.{digest.hexdigest()}.enc"
    with payload.open("rb") as file, path.open("wb") as target:
        target.write(digest.digest())
        shutil.copyfileobj(file, target, _BLOCK_BYTES)
    payload.unlink()
    return path


def read_all(source: EncryptedBytes, *, hashed: bool) -> None:
    if hashed:
        source.begin_pass()
    for offset in range(0, source.size_bytes, _BLOCK_BYTES):
        source.read(offset, min(_BLOCK_BYTES, source.size_bytes - offset))
    source.end_pass()


def hash_alone(path: Path, *, algorithm: Callable[[], hashlib._Hash] | None) -> None:
    """The file read into one buffer, and hashed or not."""
    digest = algorithm() if algorithm else None
    buffer = bytearray(_BLOCK_BYTES)
    with path.open("rb", buffering=0) as file:
        while n_bytes := file.readinto(buffer):
            if digest is not None:
                digest.update(memoryview(buffer)[:n_bytes])


def median_speeds(works: dict[str, Callable[[], object]], n_bytes: int, runs: int) -> dict[str, float]:
    """MB/s of each, run in turns so that other load meets all of them; the first turn is not counted."""
    seconds: dict[str, list[float]] = {label: [] for label in works}
    for _ in range(runs + 1):
        for label, work in works.items():
            start = time.perf_counter()
            work()
            seconds[label].append(time.perf_counter() - start)
    return {label: n_bytes / 1e6 / statistics.median(times[1:]) for label, times in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the files are written (default: the system's)")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # the key is none of Meta's
    n_bytes = int(args.gigabytes * 1e9)
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        write_random(folder / "key.pth", int(n_bytes * 0.65) + 12_345, seed=1)
        path = write_encrypted(folder, n_bytes, KeyFile(folder / "key.pth"))
        source = EncryptedBytes(path, KeyFile(folder / "key.pth"))
        print(
            f"{platform.machine()}, Python {platform.python_version()}, {args.gigabytes} GB, {args.runs} runs"
        )
        works: dict[str, Callable[[], object]] = {
            "decrypted and hashed": lambda: read_all(source, hashed=True),
            "decrypted": lambda: read_all(source, hashed=False),
            "SHA-256 alone": lambda: hash_alone(path, algorithm=hashlib.sha256),
            "read alone": lambda: hash_alone(path, algorithm=None),
            "copied": lambda: shutil.copyfile(path, folder / "copy"),
        }
        for label, speed in median_speeds(works, n_bytes, args.runs).items():
            print(f"{label:<22} {speed:8.0f} MB/s")


if __name__ == "__main__":
    main()

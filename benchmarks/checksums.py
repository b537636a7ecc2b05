"""What do the checksums cost when a model loads, up to its first token?

    python benchmarks/checksums.py MODEL.gguf [--runs 5] [--threads N] [--folder DIR]

MODEL.gguf is a converted file. It is loaded in turn with a copy that differs only in the names of its belle.* keys, so
that it counts as foreign and nothing is compared. Each load is a process of its own; the first of each only fills the
system's cache of files. Prints medians of seconds and of processor seconds, and how fast one thread hashes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from belle_edge import _core

_CHILD = """
import json, resource, sys, time
from belle_edge._core import Model
start = time.perf_counter()
model = Model(sys.argv[1], threads=int(sys.argv[2]))
loaded = time.perf_counter()
model.forward([(model.new_sequence(), [1])])
first_token = time.perf_counter()
usage = resource.getrusage(resource.RUSAGE_SELF)
cpu = usage.ru_utime + usage.ru_stime
print(json.dumps({"load": loaded - start, "first token": first_token - start, "processor": cpu}))
"""


def foreign_copy(source: Path, target: Path) -> Path:
    """The same file under other names of our keys."""
    file = _core.GgufFile(str(source))
    shutil.copyfile(source, target)
    with target.open("r+b") as copy:
        header = copy.read(file.data_offset)
        for key in file.keys():  # noqa: SIM118
            if key.startswith("belle."):
                name = key.encode()
                length = struct.pack("<Q", len(name))
                header = header.replace(length + name, length + name.replace(b"belle.", b"other.", 1))
        copy.seek(0)
        copy.write(header)
    return target


def load(path: Path, threads: int) -> dict[str, float]:
    command = [sys.executable, "-c", _CHILD, str(path), str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def hash_speed(runs: int) -> float:
    """GB/s of one thread over 1 MiB that stays in the processor's cache."""
    data = np.random.default_rng(0).integers(0, 256, 1 << 20, dtype=np.uint8)
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        for _ in range(256):
            _core.xxh64(data)
        seconds.append(time.perf_counter() - start)
    return 256 * data.nbytes / 1e9 / statistics.median(seconds)


def main() -> None:
    """Load both files `--runs` times and print the medians."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where the copy goes for a while")
    args = parser.parse_args()
    cpu = _core.cpu_info()
    print(
        f"{cpu['brand']}, {_core.default_isa()}, {args.threads or cpu['usable_threads']} threads, "
        f"median of {args.runs}"
    )
    print(f"xxh64, one thread: {hash_speed(args.runs):.1f} GB/s")
    with tempfile.TemporaryDirectory(prefix="belle-edge-", dir=args.folder) as folder:
        files = {
            "compared": args.model,
            "not compared": foreign_copy(args.model, Path(folder) / "foreign.gguf"),
        }
        measured: dict[str, list[dict[str, float]]] = {name: [] for name in files}
        for run in range(args.runs + 1):
            for name, path in files.items():
                found = load(path, args.threads)
                if run > 0:
                    measured[name].append(found)
    for name, runs in measured.items():
        medians = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        print(f"{name:<14}" + ", ".join(f"{key} {value:.2f} s" for key, value in medians.items()))


if __name__ == "__main__":
    main()

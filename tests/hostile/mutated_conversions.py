"""Converts mutated checkpoints in one process; started as a program by test_mutated_checkpoints.py.

Arguments: a folder of sound checkpoints, a folder to work in, the first seed, how many. Prints a JSON line for each:
what was done to which, the outcome, seconds, the peak of resident memory.
"""

from __future__ import annotations

import json
import resource
import shutil
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from belle_edge import _core
from belle_edge.convert import convert
from belle_edge.errors import BelleError, ConversionError
from belle_edge.text.tokenizer import Tokenizer
from tests.hostile.mutation import Files, mutated

LIMIT_BYTES = 4 << 30  # of address space
MAX_MESSAGE_CHARS = 2000


def read_files(folder: Path) -> Files:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def write_files(folder: Path, files: Files) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def outcome_of(folder: Path, out: Path, options: dict[str, Any]) -> str:
    """ "runs": a file that the engine and the tokenizer load; "refused: …"; "FAULT: …" for all else."""
    out.unlink(missing_ok=True)
    if "lora" in options:
        options = {"lora": folder / str(options["lora"])}
    try:
        convert(folder, out, type="q8_0", threads=1, **options)
    except ConversionError as error:
        message = str(error)
        is_fit = len(message) <= MAX_MESSAGE_CHARS and message.startswith("[") and not out.exists()
        return f"refused: {message}" if is_fit else f"FAULT: {len(message)} characters: {message[:300]}"
    except BaseException:  # also what is no Exception, as a panic in a library of Rust
        return f"FAULT: {traceback.format_exc()[-3000:]}"
    try:
        _core.Model(str(out), threads=1)
        Tokenizer.from_metadata(_core.GgufFile(str(out))).encode("a 你好")
    except BelleError as error:
        return f"FAULT: converted, but: {error}"
    return "runs"


def peak_kb() -> int:
    """Of resident memory since the last call."""
    status = Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    Path("/proc/self/clear_refs").write_text("5")
    return peak


def main(sound: Path, work: Path, first: int, count: int) -> None:
    sources = json.loads((sound / "sources.json").read_text())
    files = {name: read_files(sound / name) for name in sources}
    names = sorted(sources)
    for seed in range(first, first + count):
        name = names[seed % len(names)]
        changed, what = mutated(files[name], seed)
        write_files(work / name, changed)
        peak_kb()
        start = time.perf_counter()
        outcome = outcome_of(work / name, work / "out.gguf", sources[name])
        seconds = time.perf_counter() - start
        report = {
            "seed": seed,
            "what": f"{name}/{what}",
            "outcome": outcome,
            "seconds": seconds,
            "kb": peak_kb(),
        }
        print(json.dumps(report), flush=True)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))

"""Does the memory of `belle-edge batch` grow with the file? (Linux)

    python benchmarks/batch_memory.py [MODEL.gguf] [--records 100000] [--points 10] [--max-tokens 8]

Without a model the bundled one is converted. Runs one job of short lines in its default mode, and prints its anonymous
memory (RssAnon), the median and the most between two tenths of the records, and the records a second. Then the same job
is killed near its end and started again: reading a long journal back must not need memory either.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from batch_inputs import bundled_model, command, write_questions

_EVERY_S = 0.05


@dataclass(frozen=True)
class Sample:
    """What was seen of a job at one moment."""

    seconds: float
    n_bytes: int  # of the output
    anonymous: int  # bytes


def watched(words: Sequence[str], out: Path, *, until: int | None = None) -> list[Sample]:
    """Run a job, look at it again and again; kill it when its output has `until` bytes."""
    start, samples = time.monotonic(), []
    log = out.with_name("log")
    with log.open("wb") as said:
        process = subprocess.Popen(words, stderr=said)
    while process.poll() is None:
        n_bytes = out.stat().st_size if out.exists() else 0
        if (anonymous := anonymous_of(process.pid)) is not None and n_bytes:
            samples.append(Sample(time.monotonic() - start, n_bytes, anonymous))
        if until is not None and n_bytes >= until:
            process.kill()
        time.sleep(_EVERY_S)
    if process.returncode not in (0, -9):
        raise SystemExit(f"the job ended with {process.returncode}: {log.read_text('utf-8')[-500:]}")
    return samples


def anonymous_of(pid: int) -> int | None:
    try:
        status = Path(f"/proc/{pid}/status").read_text("ascii")
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line[:7] == "RssAnon"), None)


def report(samples: Sequence[Sample], n_points: int) -> float:
    """A line for each part of the output. Returns the last part's median over the second's."""
    most_bytes = samples[-1].n_bytes
    medians = []
    for part in range(n_points):
        low, high = most_bytes * part / n_points, most_bytes * (part + 1) / n_points
        found = [sample.anonymous for sample in samples if low < sample.n_bytes <= high]
        if not found:
            continue
        medians.append(statistics.median(found))
        print(
            f"  {100 * (part + 1) // n_points:3d} %: {medians[-1] / 1e6:6.1f} MB, at most {max(found) / 1e6:6.1f}"
        )
    return medians[-1] / medians[1]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--points", type=int, default=10)
    parser.add_argument("--max-tokens", type=int, default=8)
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = args.model or bundled_model(folder)
        source, out = folder / "in.jsonl", folder / "out.jsonl"
        write_questions(source, args.records)
        words = command(model, source, out, "--temperature", "0", "--max-tokens", str(args.max_tokens))
        samples = watched(words, out)
        seconds = samples[-1].seconds
        print(f"{args.records} records, {seconds:.0f} s, {args.records / seconds:.0f} a second")
        growth = report(samples, args.points)
        whole = out.read_bytes()
        out.unlink()
        watched(words, out, until=len(whole) * 95 // 100)
        again = watched(words, out)
        print(f"a second start at 95 %: at most {max(sample.anonymous for sample in again) / 1e6:.1f} MB")
        print(f"the last part over the second: {growth:.3f}; same output: {out.read_bytes() == whole}")
        return 0 if growth < 1.05 and out.read_bytes() == whole else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

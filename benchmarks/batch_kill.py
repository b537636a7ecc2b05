"""Does a job survive `kill -9`? Killed at random moments, again and again, until it is done.

    python benchmarks/batch_kill.py [MODEL.gguf] [--kills 20] [--records 3000] [--seed 1] [--as-finished]

Without a model the bundled one is converted. Answers are sampled, and some records are bad. The job runs undisturbed
once; then the same job is killed after a random share of what is left, and started anew, so that all kills hit it. The
exit code is 1 unless the output is the undisturbed one's, byte for byte (with --as-finished: line for line).
"""

from __future__ import annotations

import argparse
import hashlib
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from batch_inputs import bundled_model, command, write_questions

_OPTIONS = ("--temperature", "1.2", "--max-tokens", "24")


def n_lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def killed_at(words: Sequence[str], out: Path, at_line: int) -> bool:
    """Start the job, kill it when the output has so many lines. False where it ended before."""
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        if n_lines(out) >= at_line:
            process.kill()
        time.sleep(0.001)
    return process.returncode < 0


def disturbed(words: Sequence[str], out: Path, n_records: int, n_kills: int, chance: random.Random) -> int:
    """Run the job with kills, then to its end. Returns how many kills hit it."""
    hits = 0
    for left in range(n_kills, 0, -1):
        done = n_lines(out)
        at_line = done + 1 + int(chance.random() * 1.8 * (n_records - done) / (left + 1))
        hits += killed_at(words, out, at_line)
        print(
            f"  kill {n_kills - left + 1}: asked at {at_line} lines, {n_lines(out)} lines written", flush=True
        )
    subprocess.run(words, stderr=subprocess.DEVNULL)
    return hits


def digest(path: Path, *, sort: bool) -> str:
    lines = path.read_bytes().splitlines(keepends=True)
    return hashlib.sha256(b"".join(sorted(lines) if sort else lines)).hexdigest()


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--records", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--as-finished", action="store_true")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = args.model or bundled_model(folder)
        source, whole, out = (folder / name for name in ("in.jsonl", "whole.jsonl", "out.jsonl"))
        write_questions(source, args.records, bad=True)
        options = [*_OPTIONS, *(["--as-finished"] if args.as_finished else [])]
        subprocess.run(command(model, source, whole, *options), stderr=subprocess.DEVNULL)
        words = command(model, source, out, *options)
        hits = disturbed(words, out, args.records, args.kills, random.Random(args.seed))
        same = digest(whole, sort=args.as_finished) == digest(out, sort=args.as_finished)
        print(
            f"{hits} of {args.kills} kills hit; {n_lines(out)} lines of {args.records} records; same: {same}"
        )
        return 0 if same and n_lines(out) == args.records else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

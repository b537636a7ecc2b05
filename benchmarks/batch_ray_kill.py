"""Does `belle-edge batch --ray` lose or repeat a record when its actors are killed?

    python benchmarks/batch_ray_kill.py [MODEL.gguf] [--kills 10] [--records 10000] [--actors 2] [--seed 1]

Without a model the bundled one is converted. Answers are sampled, and some records are bad. One job goes on all the
time, and whenever it has written a random share of its lines more, one of its actors gets a `kill -9`. The exit code is
1 unless the output is that of a job without Ray, byte for byte. Linux: it looks for processes in /proc.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from batch_inputs import bundled_model, command, write_questions

_OPTIONS = ("--temperature", "1.2", "--max-tokens", "24", "--quiet")
_ACTOR = "ray::ItemWorker"  # as Ray names the process


def actors_below(pid: int) -> list[int]:
    """The actors among the descendants of a process."""
    parents: dict[int, int] = {}
    names: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            names[int(entry.name)] = (entry / "cmdline").read_text()
        except (OSError, ValueError, IndexError):
            continue
    below, new = set[int](), {pid}
    while new:
        below |= new
        new = {child for child, parent in parents.items() if parent in below} - below
    return sorted(child for child in below if names.get(child, "").startswith(_ACTOR))


def n_lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def disturbed(words: Sequence[str], out: Path, kill_at: Sequence[int], chance: random.Random) -> int:
    """Run a job to its end, and kill an actor each time it has written so many lines. Returns the kills."""
    process, n_kills = subprocess.Popen(words), 0
    for at_line in kill_at:
        while n_lines(out) < at_line and process.poll() is None:
            time.sleep(0.002)
        if found := actors_below(process.pid):
            os.kill(victim := chance.choice(found), signal.SIGKILL)
            n_kills += 1
            print(f"  kill {n_kills}: process {victim}, {n_lines(out)} lines written", flush=True)
    process.wait()
    return n_kills


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", type=Path)
    for name, default in (("kills", 10), ("records", 10_000), ("actors", 2), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args(arguments)
    chance = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = args.model or bundled_model(folder)
        source, whole, out = (folder / name for name in ("in.jsonl", "whole.jsonl", "out.jsonl"))
        write_questions(source, args.records, bad=True)
        subprocess.run(command(model, source, whole, *_OPTIONS), stderr=subprocess.DEVNULL)
        more = ["--ray", "--ray-actors", str(args.actors), "--threads", "1"]
        kill_at = sorted(chance.sample(range(1, args.records * 9 // 10), args.kills))
        n_kills = disturbed(command(model, source, out, *_OPTIONS, *more), out, kill_at, chance)
        same = whole.read_bytes() == out.read_bytes()
        print(f"{n_kills} actors killed; {n_lines(out)} lines of {args.records} records; same bytes: {same}")
        return 0 if same and n_lines(out) == args.records else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

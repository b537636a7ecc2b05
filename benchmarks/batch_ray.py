"""What do actors of Ray cost a job? Two of one thread each, beside one process with two threads.

    python benchmarks/batch_ray.py [MODEL.gguf] [--layers 4] [--records 96] [--rounds 3] [--actors 2] [--max-batch N]

Both answer the same file, in turns, with as many threads in all: `belle-edge batch --threads 2`, and `belle-edge batch
--ray --ray-actors 2 --threads 1`. Without MODEL: a synthetic one with the shape of a LLaMA-7B, but fewer layers.
Answers are 64 to 192 tokens long. A job of a few records beside it tells what starting costs, with loading and Ray; the
rates are of the tokens and seconds beyond that. Each actor answers --max-batch records together, 16 by default, so all
actors answer more at once than the one process; --max-batch-ray sets another number for them. Prints the ratio of the
rates of each round, their median, and whether all outputs have the same bytes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from batch_inputs import command, write_questions
from batch_rate import with_lengths

from belle_edge.benchmark.shapes import SHAPES
from belle_edge.benchmark.synthetic import synthetic_model

_FEW = 4  # records of the job that tells what starting costs


@dataclass(frozen=True)
class Way:
    """How a job is run."""

    name: str
    options: Sequence[str]


@dataclass(frozen=True)
class Run:
    n_tokens: int
    seconds: float
    content: bytes


def answered(model: Path, source: Path, out: Path, way: Way, limit: int) -> Run:
    """One job in a process of its own."""
    words = command(model, source, out, "--force", "--raw", "--quiet", "--limit", str(limit), *way.options)
    start = time.perf_counter()
    subprocess.run(words, check=True)
    seconds = time.perf_counter() - start
    content = out.read_bytes()
    return Run(sum(json.loads(line)["completion_tokens"] for line in content.splitlines()), seconds, content)


def rate(model: Path, source: Path, out: Path, way: Way, n_records: int) -> tuple[float, Run]:
    """Tokens a second beyond starting, and the run of all records."""
    few = answered(model, source, out, way, _FEW)
    run = answered(model, source, out, way, n_records)
    found = (run.n_tokens - few.n_tokens) / (run.seconds - few.seconds)
    print(
        f"  {way.name}: {run.n_tokens} tokens in {run.seconds:.1f} s ({_FEW} records: {few.seconds:.1f} s),"
        f" {found:.1f} tokens/s beyond starting, {run.n_tokens / run.seconds:.1f} in all",
        flush=True,
    )
    return found, run


def ways(args: argparse.Namespace) -> tuple[Way, Way]:
    """One process, and actors, with the same threads in all."""
    alone = Way("one process", ["--threads", str(args.actors), "--max-batch", str(args.max_batch)])
    of_ray = ["--ray", "--ray-actors", str(args.actors), "--threads", "1"]
    of_ray += ["--max-batch", str(args.max_batch_ray or args.max_batch)]
    return alone, Way(f"{args.actors} actors", of_ray)


def model_of(args: argparse.Namespace) -> Path:
    """The file that was named, or a synthetic one."""
    if args.model is not None:
        return Path(args.model)
    whole = SHAPES["belle-llama-7b"]
    return synthetic_model(replace(whole, name=f"{whole.name}-{args.layers}-layers", n_layers=args.layers))


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?")
    for name, default in (
        ("layers", 4),
        ("records", 96),
        ("rounds", 3),
        ("actors", 2),
        ("max-batch", 16),
        ("max-batch-ray", None),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args(arguments)
    model, ratios, whole, contents = model_of(args), [], [], set()
    with tempfile.TemporaryDirectory() as name:
        source, out = Path(name) / "in.jsonl", Path(name) / "out.jsonl"
        write_questions(source, args.records)
        with_lengths(source)
        for _ in range(args.rounds):
            (alone, first), (there, second) = (
                rate(model, source, out, way, args.records) for way in ways(args)
            )
            ratios.append(there / alone)
            whole.append((second.n_tokens / second.seconds) / (first.n_tokens / first.seconds))
            contents |= {first.content, second.content}
    print(f"{model.name}: actors over one process {statistics.median(ratios):.3f}", end=" ")
    print(
        f"({', '.join(f'{ratio:.3f}' for ratio in ratios)}); with starting {statistics.median(whole):.3f};",
        end=" ",
    )
    print("the same bytes" if len(contents) == 1 else "OTHER BYTES")
    return 0 if len(contents) == 1 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

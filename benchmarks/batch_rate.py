"""How much of the rate at which 16 sequences decode together reaches the lines of a job?

    python benchmarks/batch_rate.py [MODEL.gguf | belle-7b | belle-llama-7b] [--records 48] [--rounds 3] [--threads N]

`belle-edge bench` says the rate of 16 sequences that decode side by side, and that of prompts. `belle-edge batch`
answers questions into a file: prompts, sampling, tokenizer, journal and output included. Both take turns. Answers are
64 to 192 tokens long (--answers), so that they do not end together. Prints for each turn, and as medians:

* answers: tokens of answers a second, without loading the model, over the rate of 16 together;
* work: the seconds that prompts and answers take at bench's two rates, over those that the job took without loading.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from batch_inputs import command, write_questions

from belle_edge.benchmark.shapes import SHAPES
from belle_edge.benchmark.synthetic import synthetic_model

_TOGETHER = 16


def with_lengths(path: Path, shortest: int, longest: int) -> None:
    """Give each record a length of its own, in tokens."""
    chance = random.Random(1)
    records = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for record in records:
        record["max_tokens"] = chance.randint(shortest, longest)
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), "utf-8")


@dataclass(frozen=True)
class Rates:
    """What `belle-edge bench` measures."""

    together: float  # tokens a second of 16 sequences
    prompt: float  # tokens a second
    load_s: float


@dataclass(frozen=True)
class Job:
    """What `belle-edge batch` did."""

    prompt_tokens: int
    answer_tokens: int
    seconds: float  # of its process


def bench(model: Path, threads: int) -> Rates:
    words = [sys.executable, "-m", "belle_edge", "bench", str(model), "--json", "--repeat", "1"]
    words += ["--batch", str(_TOGETHER), "--generate", "64", "--prompt", "64", "--threads", str(threads)]
    found = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    return Rates(found["batch_tps"], found["prefill_tps"], found["load_s"])


def batch(model: Path, source: Path, out: Path, threads: int) -> Job:
    start = time.perf_counter()
    words = command(model, source, out, "--force", "--raw", "--threads", str(threads))
    subprocess.run(words, check=True, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    results = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    n_prompt, n_answer = (
        sum(result[name] for result in results) for name in ("prompt_tokens", "completion_tokens")
    )
    return Job(n_prompt, n_answer, seconds)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", default="belle-llama-7b")
    parser.add_argument("--records", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--answers", type=int, nargs=2, default=(64, 192), metavar=("SHORTEST", "LONGEST"))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args(arguments)
    model = synthetic_model(SHAPES[args.model]) if args.model in SHAPES else Path(args.model)
    answers, work = [], []
    with tempfile.TemporaryDirectory() as name:
        source, out = Path(name) / "in.jsonl", Path(name) / "out.jsonl"
        write_questions(source, args.records)
        with_lengths(source, *args.answers)
        for _ in range(args.rounds):
            rates, job = bench(model, args.threads), batch(model, source, out, args.threads)
            seconds = job.seconds - rates.load_s
            answers.append(job.answer_tokens / seconds / rates.together)
            work.append((job.prompt_tokens / rates.prompt + job.answer_tokens / rates.together) / seconds)
            print(
                f"  bench: {rates.together:.1f} tokens/s together, prompts {rates.prompt:.1f};"
                f" batch: {job.prompt_tokens} + {job.answer_tokens} tokens in {job.seconds:.1f} s,"
                f" {rates.load_s:.1f} of them loading;"
                f" answers {answers[-1]:.3f}, work {work[-1]:.3f}",
                flush=True,
            )
    print(f"{model.name}, {args.threads} threads: answers {statistics.median(answers):.3f},", end=" ")
    print(f"work {statistics.median(work):.3f} (medians of {args.rounds})")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

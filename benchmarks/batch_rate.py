"""How much of the rate at which 16 sequences decode together reaches the lines of a job?

    python benchmarks/batch_rate.py [MODEL.gguf | belle-7b | belle-llama-7b] [--records 48] [--rounds 3] [--threads N]

`belle-edge bench` says the rate of 16 sequences that decode side by side, `belle-edge batch` answers questions into a
file: prompts, sampling, tokenizer, journal and output included. Both take turns. Answers are 64 to 192 tokens long, so
that they do not end together. Prints the tokens a second of each turn, and the medians of batch over bench: of the
whole process, and without loading the model.
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
from pathlib import Path

from batch_inputs import command, write_questions

from belle_edge.benchmark.shapes import SHAPES
from belle_edge.benchmark.synthetic import synthetic_model

_SHORTEST, _LONGEST = 64, 192  # tokens of an answer
_TOGETHER = 16


def with_lengths(path: Path) -> None:
    """Give each record a length of its own."""
    chance = random.Random(1)
    records = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for record in records:
        record["max_tokens"] = chance.randint(_SHORTEST, _LONGEST)
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), "utf-8")


def decode_rate(model: Path, threads: int) -> tuple[float, float]:
    """Tokens a second of the sequences together, and seconds of loading, as `belle-edge bench` measures them."""
    words = [sys.executable, "-m", "belle_edge", "bench", str(model), "--json", "--repeat", "1"]
    words += ["--batch", str(_TOGETHER), "--generate", "64", "--prompt", "32", "--threads", str(threads)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    return float(found["batch_tps"]), float(found["load_s"])


def job_rate(model: Path, source: Path, out: Path, threads: int) -> tuple[int, float]:
    """Tokens that a job wrote, and the seconds of its process."""
    start = time.perf_counter()
    words = command(model, source, out, "--force", "--raw", "--threads", str(threads))
    subprocess.run(words, check=True, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    results = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    return sum(result["completion_tokens"] for result in results), seconds


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", default="belle-llama-7b")
    parser.add_argument("--records", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args(arguments)
    model = synthetic_model(SHAPES[args.model]) if args.model in SHAPES else Path(args.model)
    whole, loaded = [], []
    with tempfile.TemporaryDirectory() as name:
        source, out = Path(name) / "in.jsonl", Path(name) / "out.jsonl"
        write_questions(source, args.records)
        with_lengths(source)
        for _ in range(args.rounds):
            together, load_s = decode_rate(model, args.threads)
            n_tokens, seconds = job_rate(model, source, out, args.threads)
            whole.append(n_tokens / seconds / together)
            loaded.append(n_tokens / (seconds - load_s) / together)
            print(
                f"  bench, {_TOGETHER} together: {together:.1f} tokens/s; batch: {n_tokens} tokens in {seconds:.1f} s,"
                f" {n_tokens / seconds:.1f} tokens/s; {whole[-1]:.3f}, without loading {loaded[-1]:.3f}",
                flush=True,
            )
    print(f"{model.name}, {args.threads} threads: batch over bench {statistics.median(whole):.3f},", end=" ")
    print(f"without loading {statistics.median(loaded):.3f} (medians of {args.rounds})")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

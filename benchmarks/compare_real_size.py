"""How long does `belle-edge compare` take at the shape of a 7B model, and in how much memory?

Writes a checkpoint of the true shape with random weights (f16) and few layers, rounds it to a GGUF, and compares the
two in a process of its own, on questions with answers. Prints the seconds of each part, its tokens per second, and the
peak of anonymous memory (RssAnon of Linux). From two numbers of layers the time of the whole model is computed.

    python benchmarks/compare_real_size.py --shape bloom --prompts 100 --backend reference
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from calibrate_real_size import LAYERS, measured, write_checkpoint

from belle_edge.convert.calibration_texts import calibration_text_paths

CONVERTED = """
import sys
from belle_edge.convert import convert

convert(sys.argv[1], sys.argv[2], type=sys.argv[3])
print("{}")
"""
COMPARED = """
import json, sys
from anonymous_memory import AnonymousPeak
from belle_edge.quality.comparison.compare_options import CompareOptions
from belle_edge.quality.comparison.comparing import compare

checkpoint, file, data, backend, max_tokens, answers = sys.argv[1:]
options = CompareOptions(backend=backend, max_tokens=int(max_tokens), answer_tokens=int(answers))
with AnonymousPeak() as memory:
    found = compare(checkpoint, [file], data=[data], options=options)
(texts,) = {texts.language: texts for texts in found.comparison.texts}.values()
(candidate,) = found.comparison.candidates
print(json.dumps({
    "peak": memory.peak, "records": texts.n_records, "tokens": texts.n_tokens,
    "weights": candidate.side.n_bytes, "positions": candidate.languages["all"].n_tokens,
    "stages": [[stage.name, stage.n_tokens, stage.seconds] for stage in found.stages],
}))
"""


def write_questions(path: Path, n: int) -> None:
    """Chinese questions with answers, of the length that they usually have."""
    lines = calibration_text_paths()[0].read_text(encoding="utf-8").splitlines()
    path.write_text("".join(f"{lines[place % len(lines)]}\n" for place in range(n)), encoding="utf-8")


def seconds_of(found: dict[str, Any]) -> dict[str, float]:
    """Stage -> its seconds."""
    seconds: dict[str, float] = {}
    for name, _, took in found["stages"]:
        seconds[name] = seconds.get(name, 0.0) + took
    return seconds


def report(shape: str, n_layers: int, found: dict[str, Any], seconds: dict[str, float]) -> None:
    """A line for a run. The weights of a candidate that was loaded are part of the peak."""
    parts = ", ".join(f"{stage} {took:.1f} s" for stage, took in seconds.items())
    print(
        f"{shape}, {n_layers} of {LAYERS[shape]} layers, {found['records']} prompts, {found['tokens']:,} tokens,"
        f" {found['positions']:,} positions: {parts}; peak {found['peak'] / 1e6:.0f} MB (the candidate's file:"
        f" {found['weights'] / 1e6:.0f} MB)",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=sorted(LAYERS), default="llama")
    parser.add_argument("--prompts", type=int, default=100)
    parser.add_argument("--max-tokens", type=int, default=16384)
    parser.add_argument("--answers", type=int, default=24)
    parser.add_argument("--backend", choices=("native", "reference"), default="native")
    parser.add_argument("--type", default="q4_0", help="of the candidate")
    parser.add_argument("--layers", type=int, nargs=2, default=[1, 2])
    args = parser.parse_args()
    runs: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "questions.jsonl"
        write_questions(data, args.prompts)
        for n_layers in args.layers:
            folder, file = Path(name) / f"layers-{n_layers}", Path(name) / f"layers-{n_layers}.gguf"
            write_checkpoint(folder, args.shape, n_layers)
            measured(CONVERTED, folder, file, args.type)
            found = measured(
                COMPARED, folder, file, f"zh={data}", args.backend, args.max_tokens, args.answers
            )
            runs.append(seconds_of(found))
            report(args.shape, n_layers, found, runs[-1])
    few, many = args.layers
    whole = {
        stage: runs[0][stage] + (LAYERS[args.shape] - few) * (runs[1][stage] - runs[0][stage]) / (many - few)
        for stage in runs[0]
    }
    total = sum(whole.values())
    parts = ", ".join(f"{stage} {seconds / 60:.1f} min" for stage, seconds in whole.items())
    print(
        f"all {LAYERS[args.shape]} layers: {parts}; {total / 60:.1f} min, {found['tokens'] / total:.1f} tokens/s"
    )


if __name__ == "__main__":
    main()

"""Trains the demonstration checkpoint from nothing: a tokenizer, then a small BLOOM that survives Q4_0.

python tools/train_demo_model.py --out FOLDER
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from demo_model.train import Recipe, train


def main(arguments: Sequence[str] | None = None) -> int:
    """Train a checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out", type=Path, required=True, help="folder to write; an existing checkpoint there is replaced"
    )
    parser.add_argument("--start", type=Path, metavar="DIR", help="continue from the weights of a checkpoint")
    parser.add_argument(
        "--quantized-from", type=float, default=Recipe.quantized_from, help="share of the steps"
    )
    parser.add_argument(
        "--focus", nargs="*", default=[], metavar="TASK", help="draw these three times as often"
    )
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--layers", type=int, default=Recipe.layers)
    parser.add_argument("--learning-rate", type=float, default=Recipe.learning_rate)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--threads", type=int, default=Recipe.threads)
    options = parser.parse_args(arguments)
    if options.out.exists() and any(options.out.iterdir()) and not (options.out / "config.json").exists():
        parser.error(f"{options.out} is not empty and holds no checkpoint; choose another folder")
    recipe = Recipe(
        steps=options.steps,
        quantized_from=options.quantized_from,
        focus=tuple(options.focus),
        layers=options.layers,
        learning_rate=options.learning_rate,
        seed=options.seed,
        threads=options.threads,
    )
    try:
        train(recipe, options.out, options.start)
    except KeyboardInterrupt:
        sys.stdout.write("stopped; the output folder holds the best complete checkpoint so far, or nothing\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

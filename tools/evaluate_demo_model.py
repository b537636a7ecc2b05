"""Measures a demonstration checkpoint: greedy answers on held-out items, per task and weight type.

python tools/evaluate_demo_model.py [FOLDER]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from belle_edge.demo import checkpoint_path
from demo_model.evaluate import report


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the accuracy table of a checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "folder", nargs="?", type=Path, default=checkpoint_path(), help="default: the bundled checkpoint"
    )
    parser.add_argument("-n", type=int, default=1050, help="held-out items, spread over the tasks")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    sys.stdout.write(report(options.folder, n=options.n, seed=options.seed) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

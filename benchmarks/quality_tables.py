"""Tables in Markdown of what benchmarks/quality.py measured, from its --json files.

python benchmarks/quality_tables.py FIRST.json [SECOND.json …] [--texts zh en] [--engine native]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]
Report = dict[str, Any]
BASE = "llama.cpp+imatrix"  # the method that ratios compare with
ENGINE_NAMES = {"native": "our engine"}
HEADER = (
    "| type | method | MB | KL mean | ratio | KL 99 % | ratio | top-1 | perplexity | seconds |\n"
    "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|"
)


def table(rows: Sequence[Row]) -> str:
    """One table of files on one set of texts by one engine; MB are the tensors' alone.

    The ratios compare with llama.cpp's file from the same imatrix.
    """
    bases = {row["type"]: row for row in rows if row["method"] == BASE}
    ordered = sorted(rows, key=lambda row: row["type"])  # methods stay as they were measured
    return "\n".join([HEADER, *(_line(row, bases.get(row["type"])) for row in ordered)])


def _line(row: Row, base: Row | None) -> str:
    mean = "–" if base is None else f"{row['kl_mean'] / base['kl_mean']:.2f}"
    tail = "–" if base is None else f"{row['kl_99'] / base['kl_99']:.2f}"
    seconds = "–" if row["seconds"] is None else f"{row['seconds']:.1f}"
    return (
        f"| {row['type']} | {row['method']} | {row['tensor_bytes'] / 1e6:.2f} | {row['kl_mean']:.5f} | {mean} | "
        f"{row['kl_99']:.4f} | {tail} | {row['top1_agreement']:.1%} | {row['perplexity']:.2f} | {seconds} |"
    )


def tables(report: Report, *, texts: Sequence[str] = (), engines: Sequence[str] = ()) -> Iterator[str]:
    """A heading and a table for each set and engine; empty: for those that the report has."""
    results = report["results"]
    for name in texts or dict.fromkeys(row["texts"] for row in results):
        for engine in engines or dict.fromkeys(row["engine"] for row in results):
            rows = [row for row in results if (row["texts"], row["engine"]) == (name, engine)]
            if rows:
                yield (
                    f"{report['model']}, {name}, by {ENGINE_NAMES.get(engine, engine)}: {rows[0]['n_tokens']} tokens; "
                    f"the original's perplexity is {rows[0]['reference_perplexity']:.2f}\n\n{table(rows)}"
                )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("reports", type=Path, nargs="+")
    parser.add_argument("--texts", nargs="*", default=[], help="names of sets")
    parser.add_argument("--engine", nargs="*", default=[])
    args = parser.parse_args()
    for path in args.reports:
        report = json.loads(path.read_text(encoding="utf-8"))
        print("\n\n".join(tables(report, texts=args.texts, engines=args.engine)), end="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

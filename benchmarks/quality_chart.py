"""Divergence of each type by method, as bars, from what benchmarks/quality.py --json wrote.

    python benchmarks/quality_chart.py FIRST.json [SECOND.json …] --texts zh en --out chart.svg

A row of panels for each model, a panel for each set of texts. All files are run by one engine, --engine.
Needs matplotlib (the extra `plot`).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]
COLOURS = {  # ours in blue, others in grey
    "llama.cpp": "#c4c4c4",
    "llama.cpp+imatrix": "#909090",
    "autoround": "#5c5c5c",
    "nearest": "#a9cbe8",
    "fast": "#1f6fb2",
    "best": "#0b3a66",
}


def bars(results: Sequence[Row], texts: str, engine: str) -> dict[tuple[str, str], Row]:
    """(type, method) -> the file's row on a set of texts, run by one engine."""
    return {
        (row["type"], row["method"]): row
        for row in results
        if row["texts"] == texts and row["engine"] == engine
    }


def types_by_size(found: dict[tuple[str, str], Row]) -> list[str]:
    """Types, the smallest file first."""
    sizes = {
        kind: min(row["tensor_bytes"] for (k, _), row in found.items() if k == kind) for kind, _ in found
    }
    return sorted(sizes, key=lambda kind: (sizes[kind], kind))


def draw(axes: Any, found: dict[tuple[str, str], Row]) -> None:
    types = types_by_size(found)
    width = 0.8 / max(1, len({method for _, method in found}))
    for place, kind in enumerate(types):
        methods = [method for method in COLOURS if (kind, method) in found]
        for number, method in enumerate(methods):
            row = found[kind, method]
            x = place + (number - (len(methods) - 1) / 2) * width
            axes.bar([x], [row["kl_mean"]], width=0.92 * width, color=COLOURS[method])
            axes.annotate(
                f"{row['kl_mean']:.2g}",
                (x, row["kl_mean"]),
                ha="center",
                fontsize=5,
                xytext=(0, 1),
                textcoords="offset points",
            )
    sizes = [min(row["tensor_bytes"] for (k, _), row in found.items() if k == kind) / 1e6 for kind in types]
    axes.set_xticks(range(len(types)))
    axes.set_xticklabels([f"{kind}\n{size:.1f} MB" for kind, size in zip(types, sizes, strict=True)])
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def chart(
    reports: Sequence[dict[str, Any]], texts: Sequence[str], out: Path, *, engine: str = "native"
) -> None:
    """Draw `reports` to `out`, one below the other, with a column for each set of `texts`."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "quality"})
    size = (4.2 * len(texts), 2.7 * len(reports) + 0.4)
    figure: Any = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(reports), len(texts), squeeze=False)
    for report, line in zip(reports, panels, strict=True):
        for name, axes in zip(texts, line, strict=True):
            draw(axes, bars(report["results"], name, engine))
            axes.set_title(f"{report['model']}: {name}", fontsize=8)
        line[0].set_ylabel("mean divergence, nats per token", fontsize=7)
    shown = {row["method"] for report in reports for row in report["results"]}
    handles = [
        panels[0][0].bar([0], [0], color=colour, label=method)
        for method, colour in COLOURS.items()
        if method in shown
    ]
    figure.legend(handles=handles, fontsize=7, frameon=False, loc="outside upper center", ncols=len(handles))
    figure.savefig(out, metadata={"Date": None} if out.suffix == ".svg" else None)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("reports", type=Path, nargs="+")
    parser.add_argument("--texts", nargs="+", default=["zh", "en"], help="names of sets")
    parser.add_argument("--engine", default="native", help="native, which is ours, or llama.cpp")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    chart([json.loads(path.read_text()) for path in args.reports], args.texts, args.out, engine=args.engine)
    return 0


if __name__ == "__main__":
    sys.exit(main())

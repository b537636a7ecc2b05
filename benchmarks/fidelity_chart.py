"""Divergence over bytes, of our files and llama.cpp's, from what benchmarks/fidelity.py --json wrote.

    python benchmarks/fidelity_chart.py FIRST.json [SECOND.json …] --default iq4_m --out chart.svg

One panel for each file of results. Our files are run by our engine, llama.cpp's by llama.cpp. --default marks the type
of ours that is taken by default. Needs matplotlib (the extra `plot`).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

COLOURS = {"ours": "#1f6fb2", "llama.cpp": "#909090"}
RUNS = {"ours": "native", "llama.cpp": "llama.cpp"}


def points(results: list[dict[str, Any]], maker: str) -> list[dict[str, Any]]:
    """Each file of a maker once, run by its own engine as a prompt, by size."""
    found: dict[str, dict[str, Any]] = {}
    for row in results:
        if row["maker"] == maker and row["engine"] == RUNS[maker] and not row["runner"].endswith("decode"):
            found.setdefault(row["type"], row)
    return sorted(found.values(), key=lambda row: row["bytes"])


def frontier(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of rows (by size) that no smaller file is better than."""
    best: list[dict[str, Any]] = []
    for row in rows:
        if not best or row["kl_mean"] < best[-1]["kl_mean"]:
            best.append(row)
    return best


def draw(axes: Any, report: dict[str, Any], default: str) -> None:
    for maker, colour in COLOURS.items():
        rows = points(report["results"], maker)
        if not rows:
            continue
        best = frontier(rows)
        axes.plot(
            [row["bytes"] / 1e6 for row in best], [row["kl_mean"] for row in best], color=colour, linewidth=1
        )
        for row in rows:
            marked = maker == "ours" and row["type"] == default
            x, y = row["bytes"] / 1e6, row["kl_mean"]
            axes.plot([x], [y], marker="*" if marked else "o", markersize=12 if marked else 4, color=colour)
            axes.annotate(
                row["type"], (x, y), fontsize=6, color=colour, xytext=(4, 3), textcoords="offset points"
            )
    axes.set_yscale("log")
    axes.set_title(report["model"].removesuffix(".gguf"), fontsize=9)
    axes.set_xlabel("MB", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def chart(reports: list[dict[str, Any]], default: str, out: Path) -> None:
    """Draw `reports` side by side to `out`."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "fidelity"})
    figure: Any = Figure(figsize=(4 * len(reports), 4), layout="constrained")
    panels = figure.subplots(1, len(reports), squeeze=False)[0]
    for axes, report in zip(panels, reports, strict=True):
        draw(axes, report, default)
    panels[0].set_ylabel("mean divergence, nats per token", fontsize=8)
    handles = [panels[0].plot([], [], color=colour, label=maker)[0] for maker, colour in COLOURS.items()]
    panels[0].legend(handles=handles, fontsize=7, frameon=False)
    figure.savefig(out, metadata={"Date": None} if out.suffix == ".svg" else None)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("reports", type=Path, nargs="+")
    parser.add_argument("--default", default="iq4_m")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    chart([json.loads(path.read_text()) for path in args.reports], args.default, args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())

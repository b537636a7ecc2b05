"""The rates as bars, ours beside the peer's, with the machine's limit as a line. Needs matplotlib."""

from __future__ import annotations

import importlib.util
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import BackendMissingError
from ..output_files import check_output, whole_file

_FORMATS = ("png", "svg", "pdf")
_PARTS = ("prefill", "decode", "batch")


def require_matplotlib(path: Path, *, replace: bool = False) -> None:
    """Before anything is measured: BackendMissingError without matplotlib, ValueError for a name it cannot write, and
    OSError for one that is taken."""
    if importlib.util.find_spec("matplotlib") is None:
        raise BackendMissingError("[plot] matplotlib is not installed: pip install 'belle-edge[plot]'")
    if _format(path) not in _FORMATS:
        raise ValueError(f"--plot {path}: expected a name that ends with .{', .'.join(_FORMATS)}")
    if not path.absolute().parent.is_dir():
        raise ValueError(f"--plot {path}: the folder does not exist")
    check_output(path, replace=replace)


def plot(report: dict[str, Any], path: Path, *, replace: bool = False) -> None:
    """Draw what `report` returned. Raises OSError."""
    figure_class: Any = import_module("matplotlib.figure").Figure
    peer = report["against"] if report["ratio"] is not None else None
    figure = figure_class(figsize=(9, 4), layout="constrained")
    for axes, part in zip(figure.subplots(1, len(_PARTS)), _PARTS, strict=True):
        _draw(axes, report, peer, part)
    figure.suptitle(f"{report['model']}, {report['threads']} threads, tokens per second", fontsize=11)
    with whole_file(path, replace=replace) as file:
        figure.savefig(file, dpi=150, format=_format(path))


def _format(path: Path) -> str:
    return path.suffix.lower().removeprefix(".")


def _draw(axes: Any, report: dict[str, Any], peer: dict[str, Any] | None, part: str) -> None:
    engines = [(f"BELLE Edge\n{report['isa']}", report, "#1f6fb2")]
    if peer is not None and peer[f"{part}_tps"] is not None:
        engines.append((f"{peer['name']}\n{peer['version']}", peer, "#b0b0b0"))
    rates = [engine[f"{part}_tps"] for _, engine, _ in engines]
    bars = axes.bar(
        [label for label, _, _ in engines], rates, color=[colour for _, _, colour in engines], width=0.6
    )
    axes.bar_label(bars, fmt="%.1f")
    limit = _limit(report, part)
    if limit is not None:
        axes.axhline(limit, color="#c03028", linestyle="--", linewidth=1)
        axes.text(
            0.98,
            limit,
            f"limit {limit:.1f}",
            color="#c03028",
            ha="right",
            va="bottom",
            fontsize=8,
            transform=axes.get_yaxis_transform(),
        )
    axes.set_ylim(0, 1.15 * max([*rates, limit or 0]))
    titles = {
        "prefill": f"prefill, {report['prompt']} tokens",
        "decode": f"decode, {report['generate']} tokens",
        "batch": f"{report['batch']} sequences together",
    }
    axes.set_title(titles[part], fontsize=10)
    axes.tick_params(axis="x", labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _limit(report: dict[str, Any], part: str) -> float | None:
    """Tokens per second where memory (decode) or the multiplier (prefill) is at its limit."""
    fractions = {"prefill": "prefill_peak_fraction", "decode": "decode_bandwidth_fraction"}
    fraction = report[fractions[part]] if part in fractions else None
    return None if not fraction else float(report[f"{part}_tps"]) / float(fraction)

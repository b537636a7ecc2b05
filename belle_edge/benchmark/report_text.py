"""A report as text: one table for people, and how to read it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..memory import size_text

_WIDTH = 14


def table(report: dict[str, Any]) -> Iterator[str]:
    """The lines."""
    peer = report["against"] if report["ratio"] is not None else None
    columns = [report] if peer is None else [report, peer]
    yield f"{report['model']}   {report['processor']}, {report['threads']} threads"
    names = ["BELLE Edge", peer["name"]] if peer is not None else ["BELLE Edge"]
    yield _row("", [*names, *(["ratio"] if peer is not None else []), "limit"])
    versions = [report["isa"], peer["version"]] if peer is not None else [report["isa"]]
    yield _row("", versions)
    ratio = report["ratio"] or {}
    for label, key, name in (
        (f"prefill {report['prompt']}, tokens/s", "prefill_tps", "prefill"),
        (f"decode {report['generate']}, tokens/s", "decode_tps", "decode"),
        (f"batch of {report['batch']}, tokens/s", "batch_tps", "batch"),
    ):
        cells = [_rate(column[key]) for column in columns]
        cells += [_ratio(ratio[name])] if peer is not None else []
        yield _row(label, [*cells, *_limit(report, name)])
    yield _row("first token, ms", [f"{column['ttft_ms']:.0f}" for column in columns])
    loads = [_ratio(column["load_s"]) for column in columns]
    yield _row("load, s", [*loads, *([_ratio(ratio["load"])] if peer is not None else [])])
    for label, key in (("peak memory", "peak_rss_bytes"), ("of it anonymous", "anonymous_peak_bytes")):
        yield _row(label, [_size(column[key]) for column in columns])
    yield _row("read per token", [_size(column["bytes_per_token"]) for column in columns])
    yield _row("% of memory's speed", [_percent(column["decode_bandwidth_fraction"]) for column in columns])
    yield _row("% of multiply peak", [_percent(column["prefill_peak_fraction"]) for column in columns])
    if peer is not None and "model_bytes" in peer:
        yield _row("file", [_size(column["model_bytes"]) for column in columns])
    yield "Weights: " + ", ".join(f"{kind} {size_text(n)}" for kind, n in report["bytes_by_type"].items())
    if peer is not None:
        yield f"{peer['name']}: {peer['cpu_flags']}"
    if peer is not None and "command" in peer:
        yield from _program(peer)
    yield from _legend(report)
    for phase, profile in report.get("profile", {}).items():
        yield ""
        yield from _profile(phase, profile)


def _program(peer: dict[str, Any]) -> Iterator[str]:
    """What was run, and on which file."""
    yield f"{peer['name']} ran {peer['model']} ({peer['model_type']}): {peer['command']}"
    if not peer["decodes_behind_the_prompt"]:
        yield f"{peer['name']} cannot decode behind a prompt: its tokens are those of an empty cache, which are faster."


def _legend(report: dict[str, Any]) -> Iterator[str]:
    yield (
        f"Medians of {report['repeat']}. Limits, measured between the runs: reading memory "
        f"{report['read_gbps_probe']:.1f} GB/s, multiplying ({report['isa']}) "
        f"{report['peak_ops_probe'] / 1e12:.2f} TOPS."
    )
    yield (
        "Decode is bound by reading memory, prefill by multiplying. Load: from the page cache, in a fresh process. "
        "Ratio: above 1, BELLE Edge is faster."
    )


def _limit(report: dict[str, Any], name: str) -> list[str]:
    """Tokens per second at which this part would reach the machine's limit."""
    if name == "decode":
        return [_rate(report["decode_tps"] / report["decode_bandwidth_fraction"])]
    if name == "prefill" and report["prefill_peak_fraction"] is not None:
        return [_rate(report["prefill_tps"] / report["prefill_peak_fraction"])]
    return []


def _profile(phase: str, profile: dict[str, Any]) -> Iterator[str]:
    yield f"{phase}, {profile['tokens']} tokens {'ms':>15}{'calls':>9}{'share':>9}"
    for name, entry in profile["operations"].items():
        if entry["calls"] > 0:
            yield f"  {name:<20}{entry['ms']:>12.2f}{entry['calls']:>9}{entry['share']:>9.1%}"
    rest = profile["unaccounted_ms"]
    yield f"  {'unaccounted':<20}{rest:>12.2f}{'':>9}{rest / profile['wall_ms']:>9.1%}"
    yield f"  {'wall time':<20}{profile['wall_ms']:>12.2f}"


def _row(label: str, cells: list[str]) -> str:
    return f"{label:<24}{''.join(f'{cell:>{_WIDTH}}' for cell in cells)}"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _rate(tokens_per_second: float | None) -> str:
    if tokens_per_second is None:
        return "-"
    return f"{tokens_per_second:,.0f}" if tokens_per_second >= 1000 else f"{tokens_per_second:.1f}"


def _size(n_bytes: int | None) -> str:
    return "?" if n_bytes is None else size_text(n_bytes)


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{fraction:.0%}"

"""A report as text: one table for people, and how to read it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..languages import t, tn
from ..languages.columns import padded, right
from ..memory import size_text

_WIDTH = 14


def table(report: dict[str, Any]) -> Iterator[str]:
    """The lines."""
    peer = report["against"] if report["ratio"] is not None else None
    columns = [report] if peer is None else [report, peer]
    n_threads = tn("{n} thread", "{n} threads", n=report["threads"])
    yield f"{report['model']}   {report['processor']}, {n_threads}"
    names = ["BELLE Edge", peer["name"]] if peer is not None else ["BELLE Edge"]
    yield _row("", [*names, *([t("ratio")] if peer is not None else []), t("limit")])
    versions = [report["isa"], peer["version"]] if peer is not None else [report["isa"]]
    yield _row("", versions)
    ratio = report["ratio"] or {}
    for label, key, name in (
        (t("prefill {n}, tokens/s", n=report["prompt"]), "prefill_tps", "prefill"),
        (t("decode {n}, tokens/s", n=report["generate"]), "decode_tps", "decode"),
        (t("batch of {n}, tokens/s", n=report["batch"]), "batch_tps", "batch"),
    ):
        cells = [_rate(column[key]) for column in columns]
        cells += [_ratio(ratio[name])] if peer is not None else []
        yield _row(label, [*cells, *_limit(report, name)])
    yield _row(t("first token, ms"), [f"{column['ttft_ms']:.0f}" for column in columns])
    loads = [_ratio(column["load_s"]) for column in columns]
    yield _row(t("load, s"), [*loads, *([_ratio(ratio["load"])] if peer is not None else [])])
    for label, key in ((t("peak memory"), "peak_rss_bytes"), (t("of it anonymous"), "anonymous_peak_bytes")):
        yield _row(label, [_size(column[key]) for column in columns])
    yield _row(t("read per token"), [_size(column["bytes_per_token"]) for column in columns])
    yield _row(
        t("% of memory's speed"), [_percent(column["decode_bandwidth_fraction"]) for column in columns]
    )
    yield _row(t("% of multiply peak"), [_percent(column["prefill_peak_fraction"]) for column in columns])
    if peer is not None and "model_bytes" in peer:
        yield _row(t("file"), [_size(column["model_bytes"]) for column in columns])
    sizes = ", ".join(f"{kind} {size_text(n)}" for kind, n in report["bytes_by_type"].items())
    yield t("Weights: {sizes}", sizes=sizes)
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
    yield t(
        "{peer} ran {model} ({type}): {command}",
        peer=peer["name"],
        model=peer["model"],
        type=peer["model_type"],
        command=peer["command"],
    )
    if not peer["decodes_behind_the_prompt"]:
        yield t(
            "{peer} cannot decode behind a prompt: its tokens are those of an empty cache, which are faster.",
            peer=peer["name"],
        )


def _legend(report: dict[str, Any]) -> Iterator[str]:
    yield t(
        "Medians of {n}. Limits, measured between the runs: reading memory {read:.1f} GB/s, "
        "multiplying ({isa}) {tops:.2f} TOPS.",
        n=report["repeat"],
        read=report["read_gbps_probe"],
        isa=report["isa"],
        tops=report["peak_ops_probe"] / 1e12,
    )
    yield t(
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
    name = t(
        "{phase}, {n} tokens", phase=t("prefill") if phase == "prefill" else t("decode"), n=profile["tokens"]
    )
    yield f"{padded(name, 22)}{'ms':>12}{right(t('calls'), 9)}{right(t('share'), 9)}"
    for name, entry in profile["operations"].items():
        if entry["calls"] > 0:
            yield f"  {name:<20}{entry['ms']:>12.2f}{entry['calls']:>9}{entry['share']:>9.1%}"
    rest = profile["unaccounted_ms"]
    yield f"  {padded(t('unaccounted'), 20)}{rest:>12.2f}{'':>9}{rest / profile['wall_ms']:>9.1%}"
    yield f"  {padded(t('wall time'), 20)}{profile['wall_ms']:>12.2f}"


def _row(label: str, cells: list[str]) -> str:
    return padded(label, 24) + "".join(right(cell, _WIDTH) for cell in cells)


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

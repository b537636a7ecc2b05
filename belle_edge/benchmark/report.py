"""The results as data (the JSON of `belle-edge bench`): rates, and their share of what the machine can do at most."""

from __future__ import annotations

from statistics import median
from typing import Any

from .. import __version__, _core
from .measure import Measurement, Settings, Side
from .workload import Workload

_RATES = ("prefill", "decode", "batch")


def report(measurement: Measurement, workload: Workload, settings: Settings) -> dict[str, Any]:
    """Medians over the repetitions; the single ones under "repetitions"."""
    own = measurement.own
    kv_bytes = own.loads[0]["kv_bytes_per_token"]
    limits = {
        "read_gbps_probe": max(measurement.read_rates) / 1e9,
        "peak_ops_probe": max(measurement.peak_rates),
    }
    result: dict[str, Any] = {
        "version": __version__,
        "processor": _core.cpu_info()["brand"],
        "model": workload.path.name,
        "model_bytes": workload.path.stat().st_size,
        "bytes_by_type": dict(workload.weights.bytes_by_type),
        "prompt": workload.prompt,
        "generate": workload.generate,
        "batch": workload.batch,
        "repeat": settings.repeat,
        "isa": own.loads[0]["isa"],
        **_engine(own, workload, kv_bytes, limits),
        "read_gbps_probe_median": median(measurement.read_rates) / 1e9,
        "loaded_together": measurement.together,
        "against": None,
        "ratio": None,
    }
    if measurement.peer is not None:
        peer = measurement.peer
        result["against"] = {
            "name": peer.name,
            "version": peer.loads[0]["version"],
            "cpu_flags": peer.loads[0]["cpu_flags"],
            **_engine(peer, workload, workload.kv_bytes_per_token_f16, limits),
        }
        result["ratio"] = _ratios(result, result["against"])
    elif measurement.program is not None:
        result["against"] = _program(measurement.program.result(), workload, limits)
        result["ratio"] = _ratios(result, result["against"])
    elif measurement.peer_failure is not None:
        result["against"] = {"name": settings.peer.name if settings.peer else None}
        result["against"]["error"] = str(measurement.peer_failure)
    if measurement.profile is not None:
        result["profile"] = {
            phase: _profile(measurement.profile[phase], tokens)
            for phase, tokens in (("prefill", workload.prompt), ("decode", workload.generate))
        }
    return result


def _engine(side: Side, workload: Workload, kv_bytes: int, limits: dict[str, float]) -> dict[str, Any]:
    prefill_s, decode_s, batch_s = (median(getattr(run, f"{name}_s") for run in side.runs) for name in _RATES)
    bytes_per_token = workload.bytes_per_token(kv_bytes)
    decode_tps = workload.generate / decode_s
    operations = workload.prefill_operations / prefill_s
    return {
        "threads": side.loads[0]["threads"],
        "prefill_tps": workload.prompt / prefill_s,
        "decode_tps": decode_tps,
        "batch_tps": workload.batch * workload.generate / batch_s,
        "ttft_ms": prefill_s * 1e3,
        "load_s": median(load["load_s"] for load in side.loads),
        "peak_rss_bytes": side.most("peak_rss_bytes"),
        "anonymous_peak_bytes": side.most("anonymous_bytes"),
        "bytes_per_token": bytes_per_token,
        "read_gbps_probe": limits["read_gbps_probe"],
        "decode_bandwidth_fraction": bytes_per_token
        * median(
            stretch.tokens / stretch.seconds / stretch.read_rate
            for run in side.runs
            for stretch in run.stretches
        ),
        "peak_ops_probe": limits["peak_ops_probe"],
        "prefill_peak_fraction": operations / limits["peak_ops_probe"]
        if workload.weights.quantized
        else None,
        "repetitions": {
            "prefill_tps": [workload.prompt / run.prefill_s for run in side.runs],
            "decode_tps": [workload.generate / run.decode_s for run in side.runs],
            "batch_tps": [workload.batch * workload.generate / run.batch_s for run in side.runs],
            "load_s": [load["load_s"] for load in side.loads],
        },
    }


def _program(result: dict[str, Any], workload: Workload, limits: dict[str, float]) -> dict[str, Any]:
    """What a program measured, under the names of our own figures; None for what it does not measure."""
    not_measured = (
        "batch_tps",
        "load_s",
        "peak_rss_bytes",
        "anonymous_peak_bytes",
        "decode_bandwidth_fraction",
    )
    same_file = (
        result["model_bytes"] == workload.path.stat().st_size and result["model"] == workload.path.name
    )
    operations = workload.prefill_operations / workload.prompt * result["prefill_tps"]
    return {
        **dict.fromkeys(not_measured),
        **result,
        "ttft_ms": workload.prompt / result["prefill_tps"] * 1e3,
        "bytes_per_token": workload.bytes_per_token(workload.kv_bytes_per_token_f16) if same_file else None,
        "prefill_peak_fraction": operations / limits["peak_ops_probe"]
        if workload.weights.quantized
        else None,
    }


def _ratios(own: dict[str, Any], peer: dict[str, Any]) -> dict[str, float | None]:
    """How many times as fast ours is; for loading, how many times shorter. None where the peer's is not known."""
    ratios = {name: _quotient(own[f"{name}_tps"], peer[f"{name}_tps"]) for name in _RATES}
    return {**ratios, "load": _quotient(peer["load_s"], own["load_s"])}


def _quotient(above: float | None, below: float | None) -> float | None:
    return None if above is None or below is None else above / below


def _profile(phase: dict[str, Any], n_tokens: int) -> dict[str, Any]:
    """Milliseconds by operation, longest first; what happened outside of the engine's passes is unaccounted."""
    wall_ms = phase["wall_s"] * 1e3
    operations = {
        name: {"ms": seconds * 1e3, "calls": calls, "share": seconds * 1e3 / wall_ms}
        for name, (seconds, calls) in sorted(phase["operations"].items(), key=lambda item: -item[1][0])
    }
    accounted_ms = sum(entry["ms"] for entry in operations.values())
    return {
        "tokens": n_tokens,
        "wall_ms": wall_ms,
        "operations": operations,
        "unaccounted_ms": wall_ms - accounted_ms,
    }

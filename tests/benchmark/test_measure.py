"""A measurement: turns, consistent figures, and peers that fail. No figure is compared with a time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from belle_edge import _core
from belle_edge.benchmark import measure as module
from belle_edge.benchmark.measure import Measurement, Peer, Settings, measure
from belle_edge.benchmark.report import report
from belle_edge.benchmark.report_text import table
from belle_edge.benchmark.workload import Workload, read_workload
from belle_edge.errors import BackendError, BackendMissingError

Tiny = Callable[[str], Path]
SETTINGS = Settings(threads=1, isa="", repeat=2)
PEER = Peer("llama.cpp", None)
pytestmark = pytest.mark.usefixtures("short_probes")


def workload_of(path: Path) -> Workload:
    return read_workload(path, prompt=40, generate=3, batch=2)


def measured(path: Path, settings: Settings) -> tuple[Measurement, dict[str, Any], list[str]]:
    said: list[str] = []
    workload = workload_of(path)
    measurement = measure(workload, settings, say=said.append)
    return measurement, report(measurement, workload, settings), said


@pytest.mark.slow
@pytest.mark.parametrize("isa", ["", "scalar"])
def test_our_figures_are_consistent(tiny: Tiny, isa: str) -> None:
    settings = Settings(threads=2, isa=isa, repeat=3, profile=True)
    measurement, result, _ = measured(tiny("llama"), settings)
    assert (result["isa"], result["threads"]) == (isa or _core.default_isa(), 2)
    assert (result["prompt"], result["generate"], result["batch"], result["repeat"]) == (40, 3, 2, 3)
    assert (result["against"], result["ratio"]) == (None, None)
    for name in ("prefill_tps", "decode_tps", "batch_tps", "load_s"):
        assert len(result["repetitions"][name]) == 3
        assert result[name] == pytest.approx(median(result["repetitions"][name]))
    assert result["ttft_ms"] == pytest.approx(40 / result["prefill_tps"] * 1e3)
    stretches = [stretch for run in measurement.own.runs for stretch in run.stretches]
    assert [stretch.tokens for stretch in stretches] == [3] * 3
    shares = [result["bytes_per_token"] * 3 / stretch.seconds / stretch.read_rate for stretch in stretches]
    assert result["decode_bandwidth_fraction"] == pytest.approx(median(shares))
    assert result["read_gbps_probe_median"] <= result["read_gbps_probe"]
    assert max(stretch.read_rate for stretch in stretches) / 1e9 <= result["read_gbps_probe"]
    assert result["prefill_peak_fraction"] > 0
    assert result["peak_rss_bytes"] > 0
    if sys.platform == "linux":
        assert 0 < result["anonymous_peak_bytes"] < result["peak_rss_bytes"]
    for phase, tokens in (("prefill", 40), ("decode", 3)):
        profile = result["profile"][phase]
        assert profile["tokens"] == tokens
        total = sum(entry["ms"] for entry in profile["operations"].values())
        assert total + profile["unaccounted_ms"] == pytest.approx(profile["wall_ms"])
        assert profile["unaccounted_ms"] >= 0


def test_engines_take_turns(llama_cpp: Any, tiny: Tiny) -> None:
    measurement, result, said = measured(tiny("bloom"), replace(SETTINGS, peer=PEER))
    assert measurement.peer_failure is None
    engines = [line.partition(":") for line in said if ": " in line][1:]  # after the peer's first start
    assert [name for name, _, _ in engines] == ["BELLE Edge", "llama.cpp"] * 5  # two loads, warm-up, two runs
    peer = result["against"]
    assert (peer["name"], peer["version"]) == ("llama.cpp", llama_cpp.__version__)
    assert "AVX" in peer["cpu_flags"] or "NEON" in peer["cpu_flags"]
    own_only = {"isa", "version", "processor", "model", "prompt", "generate", "batch", "repeat", "against"}
    own_only |= {"ratio", "read_gbps_probe_median", "loaded_together", "model_bytes", "bytes_by_type"}
    assert set(peer) == set(result) - own_only | {"name", "version", "cpu_flags"}
    assert peer["threads"] == 1
    for name in ("prefill", "decode", "batch"):
        expected = result[f"{name}_tps"] / peer[f"{name}_tps"]
        assert result["ratio"][name] == pytest.approx(expected)
    assert result["ratio"]["load"] == pytest.approx(peer["load_s"] / result["load_s"])
    assert peer["bytes_per_token"] == result["bytes_per_token"]
    text = "\n".join(table(result))
    assert peer["cpu_flags"] in text
    assert "ratio" in text


@pytest.mark.slow
def test_decoding_is_cut_into_stretches(tiny: Tiny) -> None:
    workload = read_workload(tiny("llama"), prompt=40, generate=19, batch=2)
    runs = measure(workload, SETTINGS, say=lambda _text: None).own.runs
    assert [[stretch.tokens for stretch in run.stretches] for run in runs] == [[8, 8, 3]] * 2
    for run in runs:
        assert run.decode_s == pytest.approx(sum(stretch.seconds for stretch in run.stretches))
        assert run.batch_s > 0
        assert run.prefill_s > 0


def test_one_engine_at_a_time_where_memory_is_short(
    llama_cpp: Any, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Workload, "both_fit", lambda _self: False)
    open_at_once = 0
    started: list[Any] = []
    for name in ("native_child", "llama_child"):
        start = getattr(module, name)

        def counted(*arguments: Any, start: Callable[..., Any] = start) -> Any:
            nonlocal open_at_once
            started.append(start(*arguments))
            alive = sum(child._process.poll() is None for child in started)
            open_at_once = max(open_at_once, alive)
            return started[-1]

        monkeypatch.setattr(module, name, counted)
    measurement, result, _ = measured(tiny("llama"), replace(SETTINGS, peer=PEER, profile=True))
    assert not measurement.together
    assert open_at_once == 1
    assert len(measurement.own.runs) == len(result["against"]["repetitions"]["load_s"]) == 2
    assert "profile" in result


@pytest.mark.slow
def test_a_peer_that_is_not_there(tiny: Tiny, tmp_path: Path) -> None:
    nothing = Peer("llama.cpp", str(tmp_path / "python"))
    measurement, result, _ = measured(tiny("bloom"), replace(SETTINGS, peer=nothing))
    assert isinstance(measurement.peer_failure, BackendMissingError)
    assert result["ratio"] is None
    assert str(tmp_path) in result["against"]["error"]
    assert result["decode_tps"] > 0  # ours is measured all the same
    assert "BELLE Edge" in "\n".join(table(result))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a script in place of a Python")
@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        (
            "echo \"ModuleNotFoundError: No module named 'llama_cpp'\" >&2; exit 1",
            BackendMissingError,
            "install",
        ),
        ("kill -ILL $$", BackendError, "GGML_NATIVE=OFF"),
        ("kill -KILL $$", BackendError, "memory"),
        ("echo broken >&2; exit 3", BackendError, "exit code 3: broken"),
        ("exec cat", BackendError, "no Python"),
        ("echo no JSON; exec cat", BackendError, "no JSON"),
        ("while read a; do echo '{\"ready\": true}'; done", BackendError, "without a time"),
    ],
)
def test_a_peer_that_fails(tiny: Tiny, tmp_path: Path, body: str, kind: type[Exception], text: str) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    python.chmod(0o755)
    measurement, _, _ = measured(
        tiny("bloom"), replace(SETTINGS, repeat=1, peer=Peer("llama.cpp", str(python)))
    )
    assert type(measurement.peer_failure) is kind
    assert text in str(measurement.peer_failure)
    assert measurement.own.runs


@pytest.mark.skipif(sys.platform == "win32", reason="a script in place of a Python")
@pytest.mark.slow
def test_a_peer_that_dies_on_the_way(tiny: Tiny, tmp_path: Path) -> None:
    """It answers two requests, then it is gone."""
    python = tmp_path / "python"
    answer = '{"load_s": 1, "threads": 1, "version": "0", "cpu_flags": "", "peak_rss_bytes": 1, "seconds": 1}'
    script = f"read a; echo '{{\"ready\": true}}'; read a; echo '{answer}'; read a; kill -SEGV $$"
    python.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    python.chmod(0o755)
    measurement, result, _ = measured(tiny("bloom"), replace(SETTINGS, peer=Peer("llama.cpp", str(python))))
    assert "signal 11" in str(measurement.peer_failure)
    assert len(measurement.own.runs) == 2
    assert result["ratio"] is None


def test_an_unknown_tier_is_refused_first(tiny: Tiny) -> None:
    with pytest.raises(ValueError, match="scalar"):
        measure(workload_of(tiny("bloom")), replace(SETTINGS, isa="bogus"), say=lambda _text: None)


def test_what_a_token_costs(tiny: Tiny, converted: Callable[[str, str], Path]) -> None:
    tied, untied = workload_of(tiny("bloom")), workload_of(tiny("llama"))
    assert tied.weights.head == untied.weights.head == 601 * 128
    layer = (4 + 8) * 128 * 128  # BLOOM: QKV and output, up and down
    assert tied.weights.layers == 2 * layer
    assert tied.prefill_operations == 2 * (40 * 2 * layer + 601 * 128)
    embedding = 601 * 128 // 32 * 18
    file = _core.GgufFile(str(tiny("llama")))
    assert untied.weights.bytes_per_token == sum(tensor.n_bytes for tensor in file.tensors()) - embedding
    assert untied.bytes_per_token(100) == untied.weights.bytes_per_token + round(100 * 41.5)
    assert len(tied.prompt_ids) == 40
    assert [len(ids) for ids in tied.batch_ids] == [32, 32]
    assert all(0 <= token_id < 601 for ids in (tied.prompt_ids, *tied.batch_ids) for token_id in ids)
    floats = read_workload(converted("bloom", "f16"), prompt=None, generate=3, batch=2)
    assert not floats.weights.quantized  # no share of the integer peak


def test_a_prompt_that_does_not_fit(tiny: Tiny) -> None:
    assert read_workload(tiny("bloom"), prompt=None, generate=6, batch=1).prompt == 250
    with pytest.raises(ValueError, match="256 tokens"):
        read_workload(tiny("bloom"), prompt=250, generate=7, batch=1)

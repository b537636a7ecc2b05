"""The probes of the machine's limits: they answer, with the tier and the threads that they were asked for."""

from __future__ import annotations

import pytest

from belle_edge import _core

TIERS = [tier["name"] for tier in _core.isa_tiers() if tier["supported"]]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_reading(threads: int) -> None:
    rates = _core.probe_read_bandwidth(n_bytes=5 << 20, passes=4, threads=threads)
    assert len(rates) == 4
    assert min(rates) > 0


@pytest.mark.parametrize("isa", TIERS)
def test_the_tier_asked_for_is_measured(isa: str) -> None:
    for threads in (1, 2):
        peak = _core.probe_integer_peak(isa=isa, threads=threads, seconds=0.01)
        assert (peak["isa"], peak["threads"]) == (isa, threads)
        assert min(peak["ops_per_second"]) > 0


def test_the_default_tier(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _core.probe_integer_peak(seconds=0)["isa"] == _core.default_isa()
    monkeypatch.setenv("BELLE_ISA", "scalar")
    assert _core.probe_integer_peak(seconds=0)["isa"] == "scalar"


def test_no_time_is_one_round() -> None:
    assert len(_core.probe_integer_peak(seconds=0)["ops_per_second"]) == 1


def test_errors() -> None:
    with pytest.raises(ValueError, match="scalar"):
        _core.probe_integer_peak(isa="bogus")
    with pytest.raises(ValueError, match="at least 1"):
        _core.probe_read_bandwidth(n_bytes=0)
    with pytest.raises(OSError, match="memory"):
        _core.probe_read_bandwidth(n_bytes=1 << 60)

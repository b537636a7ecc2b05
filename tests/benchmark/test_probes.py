"""The probes of the machine's limits: they answer, with the tier and the threads that they were asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from belle_edge import _core

TIERS = [tier["name"] for tier in _core.isa_tiers() if tier["supported"]]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_reading(threads: int) -> None:
    rates = _core.probe_read_bandwidth(n_bytes=5 << 20, passes=4, threads=threads)
    assert len(rates) == 4
    assert min(rates) > 0


@pytest.mark.slow
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


DISTANCES = {units * 288 for units in (0, 8, 16, 32)}


@pytest.mark.parametrize("isa", TIERS)
def test_reading_ahead(isa: str) -> None:
    for threads in (1, 2):  # 57 pieces of 4,608 bytes, with a panel that is not full
        found = _core.probe_read_ahead(
            isa=isa, threads=threads, n_rows=57 * 32 - 5, n_cols=256, piece_bytes=4608
        )
        assert found["measured"] == (isa != "scalar")  # whose kernels do not read ahead
        assert {found["one_token"], found["several_tokens"]} <= DISTANCES


def test_reading_ahead_needs_56_pieces() -> None:
    measured = [
        _core.probe_read_ahead(n_rows=32 * n, n_cols=256, piece_bytes=4608)["measured"] for n in (1, 55, 56)
    ]
    assert measured == [False, False, True]


def test_a_small_model_takes_the_defaults(tiny: Callable[[str], Path]) -> None:
    found = _core.Model(str(tiny("llama"))).read_ahead
    assert found == {"one_token": 9216, "several_tokens": 9216, "measured": False}


def test_errors() -> None:
    with pytest.raises(ValueError, match="scalar"):
        _core.probe_integer_peak(isa="bogus")
    with pytest.raises(ValueError, match="at least 1"):
        _core.probe_read_bandwidth(n_bytes=0)
    with pytest.raises(MemoryError, match="memory"):
        _core.probe_read_bandwidth(n_bytes=2**48)
    with pytest.raises(ValueError, match="multiple of 32"):
        _core.probe_read_ahead(n_rows=16, n_cols=33)
    with pytest.raises(ValueError, match="at least 1"):
        _core.probe_read_ahead(n_rows=0, n_cols=32)
    with pytest.raises(ValueError, match="at least 1"):
        _core.probe_read_ahead(n_rows=16, n_cols=32, piece_bytes=0)

"""Times as people write them, and what a server may be told."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from belle_edge.server.durations import seconds_of
from belle_edge.server.server_settings import ServerSettings


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10m", 600),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("300ms", 0.3),
        ("2d", 172_800),
        (" 5S ", 5),
        ("0", 0),
        (0, 0),
        (30, 30),
        (2.5, 2.5),
        ("45", 45),
        (-1, math.inf),
        ("-1", math.inf),
        ("-1m", math.inf),
    ],
)
def test_times(text: object, seconds: float) -> None:
    assert seconds_of("--timeout", text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "soon", "10 m", "m", "1h-2m", "1x", "9" * 60, None, True, [1], math.nan, math.inf]
)
def test_what_is_no_time(text: object) -> None:
    with pytest.raises(ValueError, match="--timeout: expected a time as 30s, 10m"):
        seconds_of("--timeout", text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"port": 70_000}, "port"),
        ({"max_running": 0}, "max_running"),
        ({"max_waiting": -1}, "max_waiting"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"timeout_s": 0.0}, "timeout"),
        ({"receive_s": math.inf}, "receive"),
        ({"api_key": ""}, "api_key"),
        ({"api_key": "two words"}, "api_key"),
        ({"api_key": "钥匙"}, "api_key"),
        ({"allow_origins": ("page.test",)}, "allow_origin"),
        ({"allow_origins": ("http://page.test/path",)}, "allow_origin"),
        *[({"host": host}, "takes a key") for host in ("0.0.0.0", "::", "", "192.0.2.1", "box.example")],
    ],
)
def test_what_a_server_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ServerSettings(**options)


def test_who_is_local() -> None:
    for host in ("127.0.0.1", "127.0.0.2", "localhost", "::1"):
        assert ServerSettings(host=host).is_local
    assert ServerSettings(host="0.0.0.0", socket=Path("/tmp/x")).is_local
    assert not ServerSettings(host="0.0.0.0", api_key="k").is_local


def test_names_of_this_server() -> None:
    local = ServerSettings()
    assert all(map(local.knows_host, ("localhost", "127.0.0.1", "::1")))
    assert not any(map(local.knows_host, ("", "evil.example", "10.0.0.1", "127.0.0.1.evil.example")))
    known = ServerSettings(host="192.0.2.1", api_key="k", allow_hosts=("Box.lan",))
    assert known.knows_host("192.0.2.1")
    assert known.knows_host("box.LAN")
    assert not known.knows_host("192.0.2.2")
    everywhere = ServerSettings(host="::", api_key="k")
    assert everywhere.knows_host("2001:db8::1")
    assert not everywhere.knows_host("evil.example")

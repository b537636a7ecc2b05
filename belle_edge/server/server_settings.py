"""How a server listens, whom it answers and what it bounds: checked once, immutable."""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass
from pathlib import Path

from ..errors import excerpt
from ..settings import integer

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_KEY_CHARS = range(0x21, 0x7F)  # what a header can carry without quoting


@dataclass(frozen=True)
class ServerSettings:
    """Of one server. ValueError, naming the setting, for a value out of range."""

    host: str = "127.0.0.1"
    port: int = 8080  # 0: any free one
    socket: Path | None = None  # a UNIX socket in place of host and port
    api_key: str | None = None
    allow_origins: tuple[str, ...] = ()  # pages of other origins that may call; "*": all
    allow_hosts: tuple[str, ...] = ()  # further names under which clients know this computer
    max_running: int = 8  # answers that are written at once
    max_waiting: int = 64  # requests that wait for their turn
    max_tokens: int | None = None  # of an answer; None: up to the end of the context
    timeout_s: float = 600.0  # of a request, waiting included
    keep_alive_s: float = 600.0  # how long a model stays without being used
    grace_s: float = 10.0  # how long running answers may go on when the server ends
    max_body_bytes: int = 4 << 20
    max_import_bytes: int = 256 << 20  # of a file of chats
    max_header_bytes: int = 32 << 10
    max_headers: int = 100
    receive_s: float = 20.0  # for the headers of a request to come, and for its body

    def __post_init__(self) -> None:
        integer("[server] port", self.port, low=0, high=65535)
        integer("[server] max_running", self.max_running, low=1, high=256)
        integer("[server] max_waiting", self.max_waiting, low=0, high=100_000)
        if self.max_tokens is not None:
            integer("[server] max_tokens", self.max_tokens, low=1)
        for name in ("timeout_s", "receive_s", "grace_s"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(
                    f"[server] {name.removesuffix('_s')}: expected a time above 0, got {value:g} s"
                )
        self._check_access()

    def _check_access(self) -> None:
        if self.api_key is not None and (
            not self.api_key or any(ord(c) not in _KEY_CHARS for c in self.api_key)
        ):
            raise ValueError("[server] api_key: expected letters, digits and signs of ASCII, without spaces")
        if not self.is_local and self.api_key is None:
            raise ValueError(
                f"[server] host: {excerpt(self.host)} can be reached from other computers, which takes a key: give "
                "--api-key or BELLE_API_KEY, or stay on 127.0.0.1"
            )
        for origin in self.allow_origins:
            scheme, separator, rest = origin.partition("://")
            if origin != "*" and (not separator or not scheme or not rest or "/" in rest):
                raise ValueError(
                    f"[server] allow_origin: expected scheme://name[:port] without a path, got {excerpt(origin)}"
                )

    @property
    def is_local(self) -> bool:
        """Whether only this computer can connect."""
        if self.socket is not None or self.host in LOCAL_NAMES:
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def is_wildcard(self) -> bool:
        """Whether it listens on every address of this computer."""
        return self.socket is None and self.host in ("", "0.0.0.0", "::", "*")

    def knows_host(self, name: str) -> bool:
        """Whether a request may name this server so: a page of a stranger that had its own name point here may not."""
        name = name.lower()
        if name in LOCAL_NAMES or name == self.host.lower() or name in map(str.lower, self.allow_hosts):
            return True
        if not self.is_wildcard:
            return False
        try:  # an address cannot be pointed elsewhere
            return ipaddress.ip_address(name) is not None
        except ValueError:
            return False

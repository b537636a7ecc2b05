"""Ray for one job: a cluster that is there, or one on this machine that ends with the job."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .._core import cpu_info
from ..errors import BackendError, BackendMissingError

INSTALL = "pip install 'belle-edge[ray]'"
LOCAL = "local"
_PLACE = re.compile(r"(?:[a-z]+://)?\[?([^/\[\]]+)\]?:([0-9]{1,5})")
_PATIENCE_S = 10.0  # for a connection
_STORE_BYTES = 100 << 20  # records and answers pass through it, a few at a time


@contextmanager
def ray_session(address: str = LOCAL) -> Iterator[Any]:
    """The package, connected; what was started here is stopped at the end.

    address: LOCAL, "auto" for a cluster that runs on this machine, or its address. Where this process is connected
    already, that connection is used. Raises BackendMissingError without Ray, BackendError where nothing answers, or
    Ray is refused.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise BackendMissingError(f"[ray] ray is not installed: {INSTALL}") from None
    if ray.is_initialized():
        yield ray
        return
    options: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": "error"}
    if address == LOCAL:
        options |= {
            "num_cpus": cpu_info()["usable_threads"],
            "include_dashboard": False,
            "object_store_memory": _STORE_BYTES,
        }
    else:
        check_reachable(address)
    try:
        ray.init(**options)
    except (OSError, RuntimeError, ValueError) as error:
        raise BackendError(f"[ray] no cluster at {address}: {error}") from None
    try:
        yield ray
    finally:
        ray.shutdown()


def check_reachable(address: str) -> None:
    """BackendError where nothing listens at "host:port", with or without a scheme: Ray would try for many minutes."""
    found = _PLACE.fullmatch(address)
    if found is None:
        return
    try:
        socket.create_connection((found[1], int(found[2])), timeout=_PATIENCE_S).close()
    except (OSError, OverflowError) as error:
        raise BackendError(f"[ray] no cluster at {address}: {error}") from None


def actors_and_threads(ray: Any, n_actors: int | None, threads: int | None) -> tuple[int, int]:
    """How many actors there are, and the CPUs of each.

    None for both: an actor on each machine, with the CPUs of the smallest one. None for one: what the CPUs of the
    cluster allow. ValueError where no machine has as many CPUs as an actor asks for.
    """
    cpus = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    cpus = [n for n in cpus if n > 0] or [1]
    if n_actors is None and threads is None:
        return len(cpus), min(cpus)
    if threads is None:
        threads = max(1, min(max(cpus), sum(cpus) // (n_actors or 1)))
    if threads > max(cpus):
        raise ValueError(f"--threads: no machine has {threads} CPUs, the largest has {max(cpus)}")
    return n_actors or sum(n // threads for n in cpus), threads

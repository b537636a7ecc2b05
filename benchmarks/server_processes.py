"""Servers as processes of their own, for the benchmarks: ours, and llama-cpp-python's."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

START_S = 300.0


@dataclass(frozen=True)
class Server:
    """A server that takes requests at `url`; `model` is the name it gives its model."""

    url: str
    model: str
    process: subprocess.Popen[str]

    def client(self, timeout: float) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
        return httpx.AsyncClient(base_url=self.url, timeout=timeout, limits=limits, trust_env=False)

    def resident_bytes(self) -> int:
        """Of the process, as Linux counts it."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(status.split("VmRSS:")[1].split()[0]) * 1024


@contextmanager
def belle_server(model: Path, options: Sequence[str] = (), *, prefix: Sequence[str] = ()) -> Iterator[Server]:
    """`belle-edge serve` on a free port. prefix: a command that it is run by, as `unshare`."""
    command = [*prefix, sys.executable, "-m", "belle_edge", "serve", str(model), "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if "listening on " not in line:
            raise RuntimeError(f"[server_processes] belle-edge serve did not start: {line!r}")
        yield Server(line.split("listening on ")[1].strip(), model.stem, process)
    finally:
        _end(process)


@contextmanager
def peer_server(model: Path, python: Path) -> Iterator[Server]:
    """llama-cpp-python's server by another Python, on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *(str(python), "-m", "llama_cpp.server", "--model", str(model), "--model_alias", model.stem),
        *("--host", "127.0.0.1", "--port", str(port), "--n_ctx", "2048", "--interrupt_requests", "false"),
        *("--n_threads", "2", "--n_threads_batch", "2", "--flash_attn", "true"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
    url = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + START_S
        while True:
            try:
                httpx.get(f"{url}/v1/models", trust_env=False).raise_for_status()
                break
            except httpx.HTTPError:
                if time.monotonic() > end or process.poll() is not None:
                    raise RuntimeError("[server_processes] llama_cpp.server did not start") from None
                time.sleep(0.2)
        yield Server(url, model.stem, process)
    finally:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

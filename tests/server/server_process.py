"""A real server: the command as a user starts it, on a free port, with everything it says kept."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

COMMAND = [sys.executable, "-m", "belle_edge.cli.main", "serve"]
START_S, END_S = 60, 30


class ServerProcess:
    """One `belle-edge serve`."""

    def __init__(self, log: Path, *arguments: str | Path, **environment: str) -> None:
        self._log = log
        self._file = log.open("wb")
        words = [*COMMAND, *map(str, arguments)]
        if "--socket" not in words and "--port" not in words:
            words += ["--port", "0"]
        self.process = subprocess.Popen(
            words, stdout=self._file, stderr=subprocess.STDOUT, env={**os.environ, **environment}
        )
        self.address = self._wait_until_it_listens()

    @property
    def output(self) -> str:
        """All that it said so far."""
        return self._log.read_text(encoding="utf-8")

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def connect(self) -> socket.socket:
        """A bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def send(self, content: bytes) -> bytes:
        """What comes back for bytes on a bare connection, until the server closes it or says no more."""
        with self.connect() as connection:
            connection.sendall(content)
            return read_all(connection)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it as a user does; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(END_S)
        finally:
            self.process.kill()
            self._file.close()

    def _wait_until_it_listens(self) -> str:
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            if found := re.search(r"^listening on (\S+)$", self.output, re.MULTILINE):
                return found[1]
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        self.process.kill()
        raise AssertionError(f"the server did not start: {self.output}")


def read_all(connection: socket.socket, *, seconds: float = 20.0) -> bytes:
    """Everything until the end of the connection; what came by then where that is an error."""
    connection.settimeout(seconds)
    content = b""
    try:
        while part := connection.recv(65536):
            content += part
    except (ConnectionError, TimeoutError):
        pass
    return content


def request(
    path: str, *headers: str, method: str = "GET", host: str = "localhost", body: bytes = b""
) -> bytes:
    """The bytes of a request that asks for the end of the connection."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def status_of(response: bytes) -> int:
    """0 where there is no response."""
    return int(response.split()[1]) if response.startswith(b"HTTP/") else 0


def wait_until(happened: Callable[[], bool], *, seconds: float = 15.0) -> bool:
    """Whether it happened in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if happened():
            return True
        time.sleep(0.02)
    return happened()

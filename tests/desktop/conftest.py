"""Desktops for the tests: the command as a user starts it, with a browser that only notes what it was shown."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

COMMAND = [sys.executable, "-m", "belle_edge", "desktop"]
_BROWSER = """\
import pathlib, sys
pathlib.Path(sys.argv[1]).open("a").write(sys.argv[2] + "\\n")
"""
START_S = 60
SYSTEM_PACKAGES = Path("/usr/lib/python3/dist-packages")  # Debian's


def write_browser(folder: Path) -> Path:
    """A program that notes its second argument in the file of the first one."""
    path = folder / "browser.py"
    path.write_text(_BROWSER, encoding="utf-8")
    return path


class Desktop:
    """One `belle-edge desktop --browser`, with a data folder and a browser of its own."""

    def __init__(self, folder: Path, *arguments: str | Path) -> None:
        """folder: empty at first; a second desktop in it finds the first."""
        self.data, self.shown = folder / "data", folder / "shown.txt"
        browser = write_browser(folder)
        environment = {
            **os.environ,
            "BELLE_DATA": str(self.data),
            "BROWSER": f"{sys.executable} {browser} {self.shown} %s",
            "DISPLAY": "",
            "WAYLAND_DISPLAY": "",
        }
        self.process = subprocess.Popen(
            [*COMMAND, "--browser", *map(str, arguments)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )

    def pages(self) -> list[str]:
        """The addresses that the browser was given, in order."""
        return self.shown.read_text(encoding="utf-8").split() if self.shown.exists() else []

    def wait_for_pages(self, n: int) -> None:
        """Until the browser was called `n` times."""
        end = time.monotonic() + START_S
        while len(self.pages()) < n:
            assert time.monotonic() < end, "no page was opened"
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.02)

    def address(self) -> tuple[int, str]:
        """Port and key of the last page."""
        path = Path(self.pages()[-1].removeprefix("file://"))
        assert path.stat().st_mode & 0o077 == 0
        found = re.search(r'url=http://127\.0\.0\.1:(\d+)/#key=([\w-]+)"', path.read_text(encoding="utf-8"))
        assert found is not None
        return int(found[1]), found[2]

    def ask(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> tuple[int, bytes]:
        """A request with the key of the page, or another one; the status and the body of the response."""
        port, own = self.address()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        headers = {"Authorization": f"Bearer {own if key is None else key}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response.status, content

    def end(self, number: int | None = None) -> tuple[int, str, str]:
        """Wait for the end, after a signal where one is given: exit code, standard output, standard error."""
        if number is not None:
            self.process.send_signal(number)
        try:
            out, error = self.process.communicate(timeout=30)
        finally:
            self.process.kill()
        return self.process.returncode, out, error


Open = Callable[..., Desktop]


@pytest.fixture
def open_desktop(tmp_path: Path) -> Iterator[Open]:
    """open_desktop("MODEL.gguf", folder=…) -> a desktop; what runs is killed when the test ends."""
    for package in ("fastapi", "uvicorn", "prometheus_client"):
        pytest.importorskip(package, reason="pip install '.[server]' brings it")
    started: list[Desktop] = []

    def begin(*arguments: str | Path) -> Desktop:
        started.append(Desktop(tmp_path, *arguments))
        return started[-1]

    yield begin
    for desktop in started:
        if desktop.process.poll() is None:
            desktop.end(signal.SIGKILL)


@pytest.fixture
def gi_path(tmp_path: Path) -> str:
    """The PYTHONPATH by which a child finds PyGObject: its own, or Debian's where that is for this Python."""
    path = os.environ.get("PYTHONPATH", "")
    if find_spec("gi") is not None:
        return path
    module = SYSTEM_PACKAGES / "gi" / f"_gi{sysconfig.get_config_var('EXT_SUFFIX')}"
    if not module.exists():
        pytest.skip("needs PyGObject (Debian: python3-gi) for this Python")
    (tmp_path / "system").mkdir()
    (tmp_path / "system" / "gi").symlink_to(module.parent)
    return f"{tmp_path / 'system'}{os.pathsep}{path}"

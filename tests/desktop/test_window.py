"""The real window, on a display that nobody sees: it opens, a second start finds it, closing it ends the server."""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from .conftest import COMMAND

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="needs Xvfb")]
WAIT_S = 60


class ClientMessage(ctypes.Structure):
    """XClientMessageEvent of Xlib."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("serial", ctypes.c_ulong),
        ("send_event", ctypes.c_int),
        ("display", ctypes.c_void_p),
        ("window", ctypes.c_ulong),
        ("message_type", ctypes.c_ulong),
        ("format", ctypes.c_int),
        ("data", ctypes.c_long * 5),
        ("rest", ctypes.c_long * 12),  # of the union XEvent
    ]


@pytest.fixture
def display(tmp_path: Path) -> Iterator[str]:
    """The name of a display without a screen."""
    if shutil.which("Xvfb") is None:
        pytest.skip("needs Xvfb (Debian: xvfb)")
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x900x24", "-nolisten", "tcp"]
    process = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    with os.fdopen(reading) as told:
        number = told.readline().strip()
    yield f":{number}"
    process.terminate()
    process.wait(10)


@pytest.fixture
def environment(display: str, gi_path: str, tmp_path: Path) -> dict[str, str]:
    """What a desktop needs to open its window there."""
    if find_spec("webview") is None:
        pytest.skip("pywebview is not installed: pip install '.[desktop]'")
    found = {**os.environ, "PYTHONPATH": gi_path, "BELLE_DATA": str(tmp_path / "data"), "DISPLAY": display}
    found |= {"NO_AT_BRIDGE": "1", "LIBGL_ALWAYS_SOFTWARE": "1", "GDK_BACKEND": "x11", "WAYLAND_DISPLAY": ""}
    probe = "import gi; gi.require_version('WebKit2', '4.1'); from gi.repository import WebKit2"
    if subprocess.run([sys.executable, "-c", probe], env=found, capture_output=True).returncode != 0:
        pytest.skip("needs WebKitGTK (Debian: gir1.2-webkit2-4.1)")
    return found


def wait_for(what: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + WAIT_S
    while not what():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)


def windows(environment: dict[str, str]) -> dict[int, str]:
    """The windows of the display that have a class, by number."""
    done = subprocess.run(
        ["xwininfo", "-root", "-tree"], env=environment, capture_output=True, encoding="utf-8", timeout=20
    )
    lines = [
        line.split(None, 1) for line in done.stdout.splitlines() if '("belle-edge" "Belle-edge")' in line
    ]
    return {int(number, 16): rest for number, rest in lines if '"BELLE Edge"' in rest}


def close(display: str, window: int) -> None:
    """What a window manager sends when a person closes a window."""
    x11 = ctypes.CDLL(ctypes.util.find_library("X11"))
    x11.XOpenDisplay.restype = ctypes.c_void_p
    x11.XInternAtom.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
    x11.XInternAtom.restype = ctypes.c_ulong
    x11.XSendEvent.argtypes = [
        ctypes.c_void_p,
        ctypes.c_ulong,
        ctypes.c_int,
        ctypes.c_long,
        ctypes.POINTER(ClientMessage),
    ]
    x11.XCloseDisplay.argtypes = [ctypes.c_void_p]
    connection = x11.XOpenDisplay(display.encode())
    assert connection
    event = ClientMessage(type=33, window=window, format=32)
    event.message_type = x11.XInternAtom(connection, b"WM_PROTOCOLS", 0)
    event.data[0] = x11.XInternAtom(connection, b"WM_DELETE_WINDOW", 0)
    assert x11.XSendEvent(connection, window, 0, 0, ctypes.byref(event))
    x11.XCloseDisplay(connection)


def test_the_window(environment: dict[str, str]) -> None:
    if shutil.which("xwininfo") is None:
        pytest.skip("needs xwininfo (Debian: x11-utils)")
    note = Path(environment["BELLE_DATA"]) / "desktop.json"
    process = subprocess.Popen(
        COMMAND,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        wait_for(lambda: bool(windows(environment)), process)
        assert json.loads(note.read_text())["pid"] == process.pid
        second = subprocess.run(
            COMMAND, env=environment, capture_output=True, encoding="utf-8", timeout=WAIT_S
        )
        assert (second.returncode, second.stderr) == (0, "")
        assert "open already" in second.stdout
        (window,) = windows(environment)
        close(environment["DISPLAY"], window)
        out, _ = process.communicate(timeout=WAIT_S)
        assert (process.returncode, out) == (0, "")
        assert not note.exists()
    finally:
        process.kill()


def test_ctrl_c_closes_it(environment: dict[str, str]) -> None:
    note = Path(environment["BELLE_DATA"]) / "desktop.json"
    process = subprocess.Popen(
        COMMAND, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    )
    try:
        wait_for(note.exists, process)
        if shutil.which("xwininfo") is not None:
            wait_for(lambda: bool(windows(environment)), process)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=WAIT_S)
        assert process.returncode == 0
    finally:
        process.kill()

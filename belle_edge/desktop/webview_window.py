"""The page in a window of the system, by pywebview: WebKitGTK or Qt on Linux, WebView2 on Windows, WebKit on macOS."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import threading
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from . import APPLICATION_ID, TITLE
from .icons import icon_path

_SIZE, _SMALLEST = (1200, 820), (360, 480)
_PAPER = "#FAF8F3"  # until the page is drawn
_QT_PROBE = "from qtpy.QtWidgets import QApplication; QApplication([])"
_PROBE_S = 60


class NoWindowError(Exception):
    """This system can show no window of its own; says why, and what would help."""


class WebviewWindow:
    """One window; `run` belongs to the main thread, `show` and `quit` to any."""

    def __init__(self) -> None:
        """Raises NoWindowError."""
        if find_spec("webview") is None:
            raise NoWindowError("pywebview is not installed: pip install 'belle-edge[desktop]'")
        if sys.platform == "linux":
            _check_toolkit()
        self._window: Any = None
        self._ended = threading.Event()

    def run(self, address: str) -> None:
        """Until the window is closed. Raises NoWindowError where none can be opened."""
        webview: Any = import_module("webview")  # untyped where it is not installed
        logging.getLogger("pywebview").setLevel(logging.CRITICAL)  # it logs what it tries
        _name_the_program()
        webview.settings["ALLOW_DOWNLOADS"] = True  # exported chats
        self._window = webview.create_window(
            TITLE,
            address,
            width=_SIZE[0],
            height=_SIZE[1],
            min_size=_SMALLEST,
            background_color=_PAPER,
            text_select=True,
            zoomable=True,
        )
        # The page keeps nothing but its key; in private mode GTK's would have no place even for that.
        with tempfile.TemporaryDirectory(prefix="belle-edge-window-", ignore_cleanup_errors=True) as folder:
            try:
                if not self._ended.is_set():
                    webview.start(private_mode=False, storage_path=folder, icon=str(icon_path(256)))
            except webview.WebViewException as error:
                raise NoWindowError(f"no window: {error}") from None
            finally:
                self._window = None

    def show(self) -> None:
        """Bring it to the front."""
        if (window := self._window) is not None:
            window.show()
            window.restore()

    def quit(self) -> None:
        """Close it."""
        self._ended.set()
        if (window := self._window) is not None:
            window.destroy()


def _name_the_program() -> None:
    """The system finds icon and menu entry of a window by the name of its program."""
    if sys.platform != "linux":
        return
    sys.argv[0] = APPLICATION_ID  # Qt's way
    if find_spec("gi") is not None:
        glib: Any = import_module("gi.repository.GLib")
        glib.set_prgname(APPLICATION_ID)


def _check_toolkit() -> None:
    """NoWindowError where pywebview would find no toolkit, or one that ends this process: Qt without its libraries."""
    if _has_webkit():
        return
    if find_spec("qtpy") is None:
        raise NoWindowError(
            "pywebview finds neither WebKitGTK nor Qt: sudo apt install python3-gi gir1.2-webkit2-4.1 (Debian), or "
            "pip install 'pywebview[pyside6]'"
        )
    done = subprocess.run([sys.executable, "-c", _QT_PROBE], capture_output=True, timeout=_PROBE_S)
    if done.returncode != 0:
        raise NoWindowError(
            "Qt cannot open a window; what it often lacks: sudo apt install libxcb-cursor0 libxcb-icccm4 "
            "libxcb-keysyms1 libxcb-image0 libxkbcommon-x11-0 (Debian)"
        )


def _has_webkit() -> bool:
    if find_spec("gi") is None:
        return False
    gi: Any = import_module("gi")
    for version in ("4.1", "4.0"):
        try:
            gi.require_version("WebKit2", version)
        except ValueError:
            continue
        return True
    return False


def has_display() -> bool:
    """Whether this session can show a window at all."""
    if sys.platform != "linux":
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))

"""The page in the browser that the person uses: where there is no pywebview, or where it is wanted."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import webbrowser
from collections.abc import Callable
from pathlib import Path

from ..errors import BelleError
from ..output_files import whole_file

_NAME = "open-belle-edge.html"
_FIRST_PAGE_S = 300.0  # a browser may be slow to start, its owner slow to find it
_POLL_S = 0.5
_PAGE = """<!DOCTYPE html>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url={address}">
<title>BELLE Edge</title>
<p><a href="{address}">BELLE Edge</a>
"""


class BrowserWindow:
    """Pages in a browser. The server ends some time after the last one was closed."""

    def __init__(self, folder: Path, *, in_use: Callable[[], bool], unused_s: float = 60.0) -> None:
        """folder: of this user alone. in_use: whether a page is open or an answer is being written."""
        # All users can read the arguments of a browser, only this one the file that leads to the address.
        self._page = _readable_folder(folder) / _NAME
        self._in_use = in_use
        self._unused_s = unused_s
        self._ended = threading.Event()
        self._address: str | None = None

    def run(self, address: str) -> None:
        """Until `quit`, or until nothing was in use for a while. BelleError where no browser opens."""
        self._address = address
        try:
            self.show()
            self._wait()
        finally:
            self._page.unlink(missing_ok=True)

    def show(self) -> None:
        """Open the page. BelleError where no browser does."""
        if self._address is None:
            return
        content = _PAGE.format(address=html.escape(self._address, quote=True))
        with whole_file(self._page, replace=True, mode=0o600) as file:
            file.write(content.encode())
        if not open_in_browser(self._page.as_uri()):
            raise BelleError(
                "[desktop] no browser was found: `belle-edge serve` gives an address for any browser"
            )

    def quit(self) -> None:
        """End the waiting of `run`."""
        self._ended.set()

    def _wait(self) -> None:
        end = time.monotonic() + _FIRST_PAGE_S
        while not self._ended.wait(_POLL_S):
            if self._in_use():
                end = time.monotonic() + self._unused_s
            elif time.monotonic() > end:
                return


def open_in_browser(url: str) -> bool:
    """In the one that the person prefers; none that would run in this terminal."""
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    if type(browser) is webbrowser.GenericBrowser and "BROWSER" not in os.environ:  # a text browser
        return False
    return browser.open(url)


def _readable_folder(folder: Path) -> Path:
    """Where the browser can read a file: one that came as a snap sees no hidden folders."""
    if sys.platform != "linux" or (program := shutil.which("xdg-settings")) is None:
        return folder
    try:
        done = subprocess.run(
            [program, "get", "default-web-browser"], capture_output=True, encoding="utf-8", timeout=5
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return folder
    is_snap = re.fullmatch(r"([\w-]+)_[\w-]+\.desktop", done.stdout.strip())  # firefox_firefox.desktop
    return Path.home() if is_snap else folder

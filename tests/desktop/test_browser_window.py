"""How long a desktop without a window of its own stays."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from belle_edge.desktop import browser_window
from belle_edge.desktop.browser_window import BrowserWindow

from ..server.server_process import wait_until

ADDRESS = "http://127.0.0.1:8/#key=k"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a browser was asked to open."""
    pages: list[str] = []
    monkeypatch.setattr(browser_window, "open_in_browser", lambda url: pages.append(url) or True)
    monkeypatch.setattr(browser_window, "_POLL_S", 0.01)
    return pages


def test_it_ends_when_nothing_is_in_use(tmp_path: Path, opened: list[str]) -> None:
    """A while after the last time; it would wait much longer for a first page."""
    asked = [True] * 5

    def in_use() -> bool:
        return bool(asked and asked.pop())

    began = time.monotonic()
    BrowserWindow(tmp_path, in_use=in_use, unused_s=0.2).run(ADDRESS)
    assert time.monotonic() - began > 0.2
    assert asked == []
    assert len(opened) == 1


def test_it_waits_for_the_first_page(
    tmp_path: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser_window, "_FIRST_PAGE_S", 0.3)
    began = time.monotonic()
    BrowserWindow(tmp_path, in_use=lambda: False, unused_s=0.0).run(ADDRESS)
    assert time.monotonic() - began > 0.25
    assert len(opened) == 1


def test_it_stays_while_a_page_is_open(tmp_path: Path, opened: list[str]) -> None:
    window = BrowserWindow(tmp_path, in_use=lambda: True, unused_s=0.0)
    thread = threading.Thread(target=window.run, args=(ADDRESS,))
    thread.start()
    assert wait_until(lambda: len(opened) == 1)
    time.sleep(0.1)
    assert thread.is_alive()
    window.show()
    assert len(opened) == 2
    window.quit()
    thread.join(10)
    assert not thread.is_alive()


def test_a_text_browser_is_none(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """It would take over the terminal."""
    echo = browser_window.webbrowser.GenericBrowser("echo")
    monkeypatch.setattr(browser_window.webbrowser, "get", lambda: echo)
    monkeypatch.delenv("BROWSER", raising=False)
    assert not browser_window.open_in_browser("file:///page.html")
    assert capfd.readouterr().out == ""
    monkeypatch.setenv("BROWSER", "echo")
    assert browser_window.open_in_browser("file:///page.html")
    assert capfd.readouterr().out == "file:///page.html\n"


@pytest.mark.parametrize(("name", "is_snap"), [("firefox_firefox.desktop", True), ("firefox.desktop", False)])
def test_a_browser_that_is_a_snap_gets_a_file_that_it_can_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, is_snap: bool
) -> None:
    import sys

    if sys.platform != "linux":
        pytest.skip("snaps are Linux's")
    program = tmp_path / "xdg-settings"
    program.write_text(f"#!/bin/sh\necho {name}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    folder = browser_window._readable_folder(tmp_path)
    assert folder == (Path.home() if is_snap else tmp_path)

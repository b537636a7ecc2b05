"""Where there can be no window: what is missing is said, before anything could end the process."""

from __future__ import annotations

import sys

import pytest

from belle_edge.desktop import webview_window
from belle_edge.desktop.webview_window import NoWindowError, WebviewWindow


def only(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    """Of what the window looks for, these alone are installed."""
    monkeypatch.setattr(webview_window, "find_spec", lambda name: name if name in modules else None)


def test_without_pywebview(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "gi", "qtpy")
    with pytest.raises(NoWindowError, match=r"pip install 'belle-edge\[desktop\]'"):
        WebviewWindow()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system has a toolkit")
def test_without_a_toolkit(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "webview")
    with pytest.raises(NoWindowError, match="neither WebKitGTK nor Qt"):
        WebviewWindow()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system has a toolkit")
def test_qt_is_tried_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """It aborts where a library of the system is missing."""
    only(monkeypatch, "webview", "qtpy")
    monkeypatch.setattr(webview_window, "_QT_PROBE", "import os; os.abort()")
    with pytest.raises(NoWindowError, match="Qt cannot open a window"):
        WebviewWindow()
    monkeypatch.setattr(webview_window, "_QT_PROBE", "pass")
    WebviewWindow()


def test_what_is_asked_before_there_is_a_window_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "webview", "qtpy")
    monkeypatch.setattr(webview_window, "_QT_PROBE", "pass")
    window = WebviewWindow()
    window.show()
    window.quit()

"""`belle-edge desktop` without a window of its own: who gets the key, second starts, every way to end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from belle_edge.cli.main import main

from ..server.server_process import wait_until
from .conftest import COMMAND, Desktop, Open, write_browser

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="the test's browser is a command with arguments"
)


def test_the_page_alone_has_the_key(open_desktop: Open, converted: Callable[[str, str], Path]) -> None:
    desktop = open_desktop(converted("bloom", "q4_0"))
    desktop.wait_for_pages(1)
    _, key = desktop.address()
    assert len(key) >= 40
    assert desktop.ask("GET", "/v1/models")[0] == 200
    assert desktop.ask("GET", "/v1/models", key="guess")[0] == 401
    note = desktop.data / "desktop.json"
    assert note.stat().st_mode & 0o777 == 0o600
    assert json.loads(note.read_text())["pid"] == desktop.process.pid
    assert key not in desktop.pages()[0]  # the browser's argument, which all users can read
    assert desktop.ask("POST", "/page/v1/quit")[0] == 204
    code, out, error = desktop.end()
    assert (code, out) == (0, "")
    assert key not in error
    assert not note.exists()
    assert not Path(desktop.pages()[0].removeprefix("file://")).exists()


def states(desktop: Desktop) -> dict[str, str]:
    """The models that the page offers."""
    return {model["name"]: model["state"] for model in json.loads(desktop.ask("GET", "/page/v1/models")[1])}


def test_a_second_start_shows_the_first(
    open_desktop: Open, converted: Callable[[str, str], Path], tmp_path: Path
) -> None:
    model = shutil.copy(converted("bloom", "q4_0"), tmp_path / "first one.gguf")
    first = open_desktop(model)
    first.wait_for_pages(1)
    assert wait_until(lambda: states(first) == {"first one": "loaded"})
    second = open_desktop(shutil.copy(model, tmp_path / "second.gguf"))
    code, out, error = second.end()
    assert (code, error) == (0, "")
    assert out == "BELLE Edge is open already: its window comes to the front.\n"
    first.wait_for_pages(2)
    assert states(first) == {"first one": "loaded", "second": "idle"}
    assert first.process.poll() is None
    assert first.end(signal.SIGTERM)[0] == 0
    third = open_desktop()
    third.wait_for_pages(3)
    assert third.ask("GET", "/health")[0] == 200
    assert third.end(signal.SIGINT)[0] == 0


def test_a_start_after_one_that_was_killed(open_desktop: Open) -> None:
    """Its note is still there; its lock is not."""
    killed = open_desktop()
    killed.wait_for_pages(1)
    old = killed.address()
    assert killed.end(signal.SIGKILL)[0] == -signal.SIGKILL
    assert (killed.data / "desktop.json").exists()
    again = open_desktop()
    again.wait_for_pages(2)
    assert again.address() != old
    assert again.ask("GET", "/health")[0] == 200


def main_refuses(*arguments: str) -> int:
    """The exit code of a wrong use."""
    with pytest.raises(SystemExit) as left:
        main(["desktop", *arguments])
    return int(str(left.value))


def test_what_it_refuses(tmp_path: Path) -> None:
    pytest.importorskip("fastapi", reason="pip install '.[server]' brings it")

    def said(*arguments: str, **environment: str) -> str:
        done = subprocess.run(
            [*COMMAND, *arguments],
            env={
                **os.environ,
                "BELLE_DATA": str(tmp_path),
                "DISPLAY": "",
                "WAYLAND_DISPLAY": "",
                **environment,
            },
            capture_output=True,
            encoding="utf-8",
            timeout=60,
        )
        assert done.returncode == 1
        assert done.stdout == ""
        return done.stderr

    if sys.platform == "linux":
        assert "this session has no display" in said()
    assert "no such file or folder" in said("none.gguf", "--browser", BROWSER="true")
    assert "no browser was found" in said("--browser", BROWSER="false")
    assert main_refuses("--install", "--uninstall") == 2


def test_an_error_of_a_start_from_the_menu_is_seen(tmp_path: Path) -> None:
    """No terminal shows it: it is in a file, and in a page that the browser opens."""
    pytest.importorskip("fastapi", reason="pip install '.[server]' brings it")
    shown = tmp_path / "shown.txt"
    environment = {
        **os.environ,
        "BELLE_DATA": str(tmp_path / "data"),
        "XDG_STATE_HOME": str(tmp_path),
        "HOME": str(tmp_path),
        "BROWSER": f"{sys.executable} {write_browser(tmp_path)} {shown} %s",
    }
    start = "import sys; from belle_edge.cli.desktop import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", start, "<none>.gguf", "--browser"],
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    page = Path(shown.read_text(encoding="utf-8").strip().removeprefix("file://"))
    assert "no such file or folder: &lt;none&gt;.gguf" in page.read_text(encoding="utf-8")
    assert page.stat().st_mode & 0o077 == 0
    assert "no such file or folder: <none>.gguf" in (page.parent / "desktop.log").read_text(encoding="utf-8")

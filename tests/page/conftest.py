"""One browser and one server for these tests; a fresh window for each."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ..server.server_process import ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from .watched_page import Watched

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
Open = Callable[..., "Watched"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; skips where it, or playwright, is not installed.

    It ends with each file: while playwright runs, its event loop does, and asyncio.run() of other tests fails.
    """
    api = pytest.importorskip("playwright.sync_api", reason="pip install playwright brings it")
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("no Chromium found: apt install chromium fonts-noto-cjk")
    api.expect.set_options(timeout=30_000)  # a loaded machine is slow; what is wrong stays wrong
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def demo_file(converted: Callable[[str, str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled BLOOM under the name `demo`; a context of 256."""
    for package in ("fastapi", "uvicorn", "sqlalchemy"):
        pytest.importorskip(package, reason="pip install '.[server]' brings it")
    path = tmp_path_factory.mktemp("models") / "demo.gguf"
    return Path(shutil.copy(converted("bloom", "q4_0"), path))


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., ServerProcess]]:
    """start("--flag", NAME="environment") -> a server whose chats are its own; it ends with the tests."""
    started: list[ServerProcess] = []
    folder = tmp_path_factory.mktemp("servers")

    def begin(*arguments: str | Path, **environment: str) -> ServerProcess:
        place = folder / str(len(started))
        data = environment.pop("BELLE_DATA", str(place))
        started.append(ServerProcess(place.with_suffix(".log"), *arguments, BELLE_DATA=data, **environment))
        return started[-1]

    yield begin
    for server in started:
        server.process.terminate()
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def server(start: Callable[..., ServerProcess], demo_file: Path) -> ServerProcess:
    """With the bundled model; most tests share it, and each makes chats of its own."""
    return start(demo_file)


@pytest.fixture
def window(browser: Browser, server: ServerProcess) -> Iterator[Open]:
    """window(locale="zh-CN", …) -> a window on the server, not loaded yet; all are checked at the end."""
    from .watched_page import watched

    with ExitStack() as stack:

        def fresh(address: str = server.address, **options: Any) -> Watched:
            return stack.enter_context(watched(browser, address, **options))

        yield fresh


@pytest.fixture
def shown(window: Open) -> Watched:
    """A window that shows the page, in English."""
    watched = window()
    watched.open()
    return watched

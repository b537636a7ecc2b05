"""The way of the key in a real browser: from the file into the page, out of the address, kept over a reload."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Open

api = pytest.importorskip("playwright.sync_api", reason="pip install playwright brings it")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the test's browser is a command with arguments"),
]


def test_the_page_takes_the_key(open_desktop: Open, converted: Callable[[str, str], Path]) -> None:
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no Chromium found: apt install chromium")
    desktop = open_desktop(converted("bloom", "q4_0"))
    desktop.wait_for_pages(1)
    _, key = desktop.address()
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page()
        refused: list[str] = []
        page.on("response", lambda response: refused.append(response.url) if response.status == 401 else None)
        page.goto(desktop.pages()[0])
        page.wait_for_url("http://127.0.0.1:*/**")
        for _ in range(2):
            page.wait_for_selector("body[data-ready]")
            assert key not in page.url
            api.expect(page.locator("dialog")).to_have_count(0)  # which would ask for the key
            page.reload()
        assert refused == []
        stranger = browser.new_page()
        stranger.goto(f"http://127.0.0.1:{desktop.address()[0]}/")
        api.expect(stranger.locator("dialog[open]")).to_have_count(1)
        browser.close()
    assert desktop.ask("POST", "/page/v1/quit")[0] == 204
    assert desktop.end()[0] == 0

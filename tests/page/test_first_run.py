"""No model yet: the page leads to one. A file of this computer, a checkpoint that is converted, and what goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Open

api = pytest.importorskip("playwright.sync_api", reason="pip install playwright brings it")
pytestmark = pytest.mark.slow  # a browser and a server
expect = api.expect


def test_from_nothing_to_an_answer(
    window: Open, start: Callable[..., object], demo_file: Path, checkpoint: Callable[[str], Path]
) -> None:
    """A folder is looked through, a checkpoint is converted with progress, a file is opened, a question is answered."""
    server = start()
    watched = window(server.address)  # type: ignore[attr-defined]
    watched.open()
    page = watched.page
    expect(page.locator("#first-run h2")).to_have_text("Welcome to BELLE Edge")
    expect(page.locator("#first-run .limits")).to_contain_text("research")
    expect(page.locator("#composer")).to_be_hidden()

    page.locator("summary", has_text="Convert a checkpoint folder").click()
    convert = page.locator(".way", has_text="Convert a checkpoint folder")
    go_to(convert, checkpoint("bloom").parent)
    convert.locator("select").select_option("q8_0")
    convert.locator(".folder-row", has_text="belle-demo").filter(has_text="Convert").click()
    expect(page.locator(".job")).to_contain_text("belle-demo")
    expect(page.locator("#first-run")).to_be_hidden(timeout=60_000)  # there is a model now

    page.locator("#model").click()
    page.get_by_role("button", name="Add a model").click()
    adding = page.locator("dialog").last
    adding.locator("summary", has_text="Open a model").click()
    opening = adding.locator(".way", has_text="Open a model")
    opening.get_by_label("Folder", exact=True).fill("/nowhere/at/all")
    opening.get_by_role("button", name="Go").click()
    expect(opening.locator(".folder-browser .problem")).to_contain_text("/nowhere/at/all")
    go_to(opening, demo_file.parent)
    opening.locator(".folder-row", has_text="demo.gguf").click()
    page.keyboard.press("Escape")
    expect(page.locator('.model-card[data-model="demo"]')).to_be_visible()
    page.locator('.model-card[data-model="demo"]').get_by_role("button", name="Use here").click()
    expect(page.locator('.model-card[data-model="demo"]')).to_contain_text("in use here")
    page.keyboard.press("Escape")
    watched.ask("你是谁？")
    expect(page.locator(".message.assistant .prose")).not_to_be_empty()


def go_to(browser: object, folder: Path) -> None:
    """In a list of folders."""
    browser.get_by_label("Folder", exact=True).fill(str(folder))  # type: ignore[attr-defined]
    browser.get_by_role("button", name="Go").click()  # type: ignore[attr-defined]


def test_a_name_that_is_no_name_is_refused_in_place(window: Open, start: Callable[..., object]) -> None:
    watched = window(start().address, locale="zh-CN")  # type: ignore[attr-defined]
    watched.open()
    page = watched.page
    page.locator("summary", has_text="按名称获取模型").click()
    page.get_by_label("模型库中的名称").fill("../../etc/passwd")
    page.get_by_role("button", name="下载并转换").click()
    expect(page.locator(".way .problem")).to_be_visible()
    expect(page.locator(".way .problem")).not_to_be_empty()

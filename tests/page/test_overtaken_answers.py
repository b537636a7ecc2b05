"""Answers of the server that come in another order than the questions: the newest question decides what is shown."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from .imported_chats import Turn, bring_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Locator, Page, Route

    from .conftest import Open
    from .watched_page import Watched

api = pytest.importorskip("playwright.sync_api", reason="pip install playwright brings it")
pytestmark = pytest.mark.slow  # a browser and a server
expect = api.expect
PATIENCE_S = 30  # with a busy machine


def hold(page: Page, pattern: str) -> list[Route]:
    """Requests of this pattern stay without an answer until they are continued."""
    held: list[Route] = []

    def keep(route: Route) -> None:
        held.append(route)

    page.route(pattern, keep)
    return held


def wait_for_a_request(page: Page, held: list[Route]) -> None:
    """Until the page has asked for what is held."""
    end = time.monotonic() + PATIENCE_S
    while not held:
        assert time.monotonic() < end, "it was never asked for"
        page.wait_for_timeout(20)


def release(watched: Watched, held: list[Route]) -> None:
    """Answer what was held, and wait until the page has the answers."""
    for route in held:
        with watched.page.expect_response(route.request.url):
            route.continue_()
    watched.page.wait_for_timeout(200)  # the answer is there; the page has done with it what it will


def test_the_first_folder_comes_after_the_one_that_was_asked_for(
    window: Open, start: Callable[..., object], tmp_path: Path
) -> None:
    server = start()
    watched = window(server.address)  # type: ignore[attr-defined]
    watched.open()
    page = watched.page
    held = hold(page, "**/page/v1/folders")  # without a path: the folder that is shown first
    (tmp_path / "inside").mkdir()
    page.locator("summary", has_text="Convert a checkpoint folder").click()
    convert = page.locator(".way", has_text="Convert a checkpoint folder")
    convert.get_by_label("Folder", exact=True).fill(str(tmp_path))
    convert.get_by_role("button", name="Go").click()
    expect(convert.locator(".folder-row", has_text="inside")).to_be_visible()
    wait_for_a_request(page, held)
    release(watched, held)
    expect(convert.locator(".folder-row", has_text="inside")).to_be_visible()
    expect(convert.get_by_label("Folder", exact=True)).to_have_value(str(tmp_path))


def test_the_first_folder_leaves_what_is_being_written(window: Open, start: Callable[..., object]) -> None:
    server = start()
    watched = window(server.address)  # type: ignore[attr-defined]
    watched.open()
    page = watched.page
    held = hold(page, "**/page/v1/folders")
    page.locator("summary", has_text="Convert a checkpoint folder").click()
    convert = page.locator(".way", has_text="Convert a checkpoint folder")
    convert.get_by_label("Folder", exact=True).fill("/a/path/not/yet/whole")
    wait_for_a_request(page, held)
    release(watched, held)
    expect(convert.get_by_label("Folder", exact=True)).to_have_value("/a/path/not/yet/whole")


def test_a_chat_that_comes_late_does_not_open(shown: Watched) -> None:
    page = shown.page
    first = bring_in(shown, "来得晚", [Turn("user", "迟到的问题"), Turn("assistant", "迟到的回答")])
    bring_in(shown, "来得早", [Turn("user", "准时的问题"), Turn("assistant", "准时的回答")])
    held = hold(page, f"**/page/v1/chats/{first}")
    page.locator(".chat-row", has_text="来得晚").locator("a").click()
    wait_for_a_request(page, held)
    page.locator(".chat-row", has_text="来得早").locator("a").click()
    expect(page.locator("#chat-title")).to_have_text("来得早")
    release(shown, held)
    expect(page.locator("#chat-title")).to_have_text("来得早")
    expect(page.locator(".message.user")).to_contain_text("准时的问题")


def test_a_chat_that_comes_late_leaves_a_new_one(shown: Watched) -> None:
    page = shown.page
    late = bring_in(shown, "又来得晚", [Turn("user", "迟到的问题"), Turn("assistant", "迟到的回答")])
    shown.open("/#")
    page.reload()
    page.wait_for_selector("body[data-ready]")
    held = hold(page, f"**/page/v1/chats/{late}")
    page.locator(".chat-row", has_text="又来得晚").locator("a").click()
    wait_for_a_request(page, held)
    page.locator("#new-chat").click()
    release(shown, held)
    expect(page.locator(".message")).to_have_count(0)
    expect(page.locator("#text")).to_be_focused()


def test_a_sheet_of_settings_shows_the_chat_that_is_open(shown: Watched) -> None:
    """Its chat comes while the sheet is open: by the browser's way back, and after a reload."""
    page = shown.page
    bring_in(shown, "一种语气", [Turn("user", "一"), Turn("assistant", "二")], system="说话要客气。")
    bring_in(shown, "另一种语气", [Turn("user", "三"), Turn("assistant", "四")], system="说话要简短。")
    open_sheet = page.get_by_role("button", name="Settings of this chat")
    page.reload()
    open_sheet.click()
    expect(page.locator("#system")).to_have_value("说话要简短。")
    page.evaluate("history.back()")
    expect(page.locator("#system")).to_have_value("说话要客气。")


def test_a_renamed_chat_that_was_deleted_stays_away(shown: Watched) -> None:
    """The server has renamed it, then deleted it; its answer to the first comes last."""
    page = shown.page
    gone = bring_in(shown, "会走", [Turn("user", "三"), Turn("assistant", "四")])
    row = page.locator(".chat-row", has_text="会走")
    kept: list[tuple[Route, object]] = []
    page.route(f"**/chats/{gone}", lambda route: keep_answer(route, kept))
    choose(row, "Rename")
    page.keyboard.insert_text("会走，改了名")
    page.keyboard.press("Enter")
    expect(page.locator(".chat-row", has_text="改了名")).to_have_count(1)  # by the event
    choose(row, "Delete")
    expect(row).to_have_count(0)
    ((route, answer),) = kept
    with page.expect_response(route.request.url):
        route.fulfill(response=answer)  # type: ignore[arg-type]
    page.wait_for_timeout(200)
    expect(row).to_have_count(0)


def keep_answer(route: Route, kept: list[tuple[Route, object]]) -> None:
    """Ask the server, and keep what it says from the page; other requests than changes go on."""
    if route.request.method == "PATCH" and "title" in (route.request.post_data or ""):
        kept.append((route, route.fetch()))
    else:
        route.continue_()


def choose(row: Locator, choice: str) -> None:
    """From the menu of a chat."""
    row.hover()
    row.get_by_role("button").click()
    row.page.get_by_role("menuitem", name=choice, exact=True).click()

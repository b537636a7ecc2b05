"""Everything without a mouse; and input methods, whose Enter never sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .imported_chats import Turn, bring_in

if TYPE_CHECKING:
    from .watched_page import Watched

api = pytest.importorskip("playwright.sync_api", reason="pip install playwright brings it")
pytestmark = pytest.mark.slow  # a browser and a server
expect = api.expect

KEY = """([key, more]) => document.querySelector("#text").dispatchEvent(
  new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true, ...more}))"""


def test_a_whole_conversation_by_keys_alone(shown: Watched) -> None:
    """Ask, look for details, edit with ↑, begin a new chat, find the old one, rename it, delete it, undo."""
    page = shown.page
    expect(page.locator("#text")).to_be_focused()
    page.keyboard.insert_text("键盘：你是谁？")
    page.keyboard.press("Enter")
    shown.wait_for_answer("键盘")
    expect(page.locator("#text")).to_be_focused()
    page.keyboard.press("ArrowUp")
    field = page.locator(".turn-editor textarea")
    expect(field).to_be_focused()
    page.keyboard.press("Escape")
    expect(field).to_have_count(0)
    page.keyboard.press("Control+Shift+O")
    expect(page.locator("#greeting")).to_be_visible()
    expect(page.locator("#text")).to_be_focused()
    page.keyboard.press("Control+k")
    page.keyboard.insert_text("键盘")
    expect(page.locator("#hits a").first).to_contain_text("键盘")
    page.keyboard.press("Enter")
    expect(page.locator(".message.user")).to_contain_text("键盘")
    page.keyboard.press("Control+k")
    page.keyboard.press("Escape")
    row = page.locator(".chat-row", has_text="键盘").locator("a")
    for _ in range(200):
        if row.evaluate("link => link === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(row).to_be_focused()
    page.keyboard.press("F2")
    page.keyboard.insert_text("只用键盘")
    page.keyboard.press("Enter")
    renamed = page.locator(".chat-row", has_text="只用键盘").locator("a")
    expect(renamed).to_be_focused()
    page.keyboard.press("Delete")
    expect(renamed).to_have_count(0)
    undo = page.get_by_role("button", name="Undo")
    undo.focus()
    page.keyboard.press("Enter")
    expect(renamed).to_have_count(1)


def test_the_list_of_shortcuts(shown: Watched) -> None:
    page = shown.page
    page.keyboard.press("?")
    expect(page.locator("#text")).to_have_value("?")
    page.locator("#text").fill("")
    page.locator("#new-chat").focus()
    page.keyboard.press("?")
    expect(page.locator("dialog .shortcuts")).to_contain_text("Search all chats")
    page.keyboard.press("Escape")
    expect(page.locator("#new-chat")).to_be_focused()


def test_menus_follow_the_arrow_keys(shown: Watched) -> None:
    page = shown.page
    bring_in(shown, "menu", [Turn("user", "x"), Turn("assistant", "y")])
    button = page.locator("#chat-menu")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem").first).to_be_focused()
    page.keyboard.press("End")
    expect(page.get_by_role("menuitem").last).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitem").first).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("menu")).to_have_count(0)
    expect(button).to_be_focused()


def test_shift_enter_breaks_the_line(shown: Watched) -> None:
    page = shown.page
    page.keyboard.insert_text("一")
    page.keyboard.press("Shift+Enter")
    page.keyboard.insert_text("二")
    expect(page.locator("#text")).to_have_value("一\n二")
    expect(page.locator(".message")).to_have_count(0)
    page.locator("#text").fill("")


def test_enter_of_an_input_method_never_sends(shown: Watched) -> None:
    """While it composes; and as Safari tells it: the composition ends first, then Enter comes with the code 229."""
    page = shown.page
    session = shown.context.new_cdp_session(page)
    page.locator("#text").focus()
    session.send("Input.imeSetComposition", {"text": "ni hao", "selectionStart": 6, "selectionEnd": 6})
    page.evaluate(KEY, ["Enter", {"isComposing": True}])
    page.evaluate(KEY, ["Enter", {"keyCode": 229}])
    session.send("Input.insertText", {"text": "你好"})
    page.evaluate(KEY, ["Enter", {"keyCode": 229}])
    expect(page.locator("#text")).to_have_value("你好")
    expect(page.locator(".message")).to_have_count(0)
    page.keyboard.press("Enter")
    shown.wait_for_answer("你好")
    expect(page.locator(".message.user .text")).to_have_text("你好")


def test_escape_of_an_input_method_leaves_an_edited_turn_open(shown: Watched) -> None:
    page = shown.page
    bring_in(shown, "composing", [Turn("user", "旧"), Turn("assistant", "答")])
    page.locator("#text").focus()
    page.keyboard.press("ArrowUp")
    page.evaluate(
        """document.activeElement.dispatchEvent(
          new KeyboardEvent("keydown", {key: "Escape", isComposing: true, bubbles: true, cancelable: true}))"""
    )
    expect(page.locator(".turn-editor textarea")).to_be_focused()

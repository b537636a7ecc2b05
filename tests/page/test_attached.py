"""Text files for a turn: by button, by drop, from a long paste; counted, removed, sent along."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .watched_page import Watched

api = pytest.importorskip("playwright.sync_api", reason="pip install playwright brings it")
pytestmark = pytest.mark.slow  # a browser and a server
expect = api.expect

PASTE = """(text) => {
  const data = new DataTransfer();
  data.setData("text/plain", text);
  document.querySelector("#text").dispatchEvent(
    new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true}));
}"""
DROP = """(text) => {
  const data = new DataTransfer();
  data.items.add(new File([text], "掉下来.txt", {type: "text/plain"}));
  for (const type of ["dragover", "drop"])
    document.body.dispatchEvent(new DragEvent(type, {dataTransfer: data, bubbles: true, cancelable: true}));
}"""


def test_a_file_goes_with_the_turn(shown: Watched, tmp_path: Path) -> None:
    page = shown.page
    file = tmp_path / "笔记.txt"
    file.write_text("日本的首都是东京。", encoding="utf-8")
    page.locator("#file-picker").set_input_files(file)
    chip = page.locator("#attachments .chip")
    expect(chip).to_contain_text("笔记.txt")
    expect(chip.locator(".measure")).to_contain_text("tokens")
    shown.ask("日本的首都是哪里？")
    expect(page.locator(".message.user .chip")).to_contain_text("笔记.txt")
    expect(page.locator("#attachments")).to_be_hidden()
    page.reload()
    page.locator(".message.user .chip").click()
    expect(page.get_by_role("dialog", name="笔记.txt")).to_contain_text("日本的首都是东京。")
    page.keyboard.press("Escape")
    expect(page.locator(".message.user .chip")).to_be_focused()


def test_a_dropped_file_can_be_removed(shown: Watched) -> None:
    page = shown.page
    page.evaluate(DROP, "你好")
    chip = page.locator("#attachments .chip")
    expect(chip).to_contain_text("掉下来.txt")
    expect(page.locator("#send")).to_be_enabled()
    chip.get_by_role("button", name="Remove 掉下来.txt").click()
    expect(page.locator("#attachments")).to_be_hidden()
    expect(page.locator("#send")).to_be_disabled()


def test_what_is_no_text_is_refused_in_place(shown: Watched, tmp_path: Path) -> None:
    file = tmp_path / "picture.png"
    file.write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\x00" * 20)
    shown.page.locator("#file-picker").set_input_files(file)
    chip = shown.page.locator("#attachments .chip.error")
    expect(chip.locator("[role=alert]")).not_to_be_empty()
    expect(shown.page.locator("#send")).to_be_disabled()


def test_a_long_paste_becomes_a_file_and_can_become_text_again(shown: Watched) -> None:
    page = shown.page
    page.evaluate(PASTE, "短")
    expect(page.locator("#attachments")).to_be_hidden()
    page.evaluate(PASTE, "一行很长的文字。" * 500)
    chip = page.locator("#attachments .chip")
    expect(chip).to_contain_text("Pasted text.txt")
    expect(page.locator("#text")).to_have_value("")
    chip.get_by_role("button", name="Back to text").click()
    expect(page.locator("#text")).to_have_value("一行很长的文字。" * 500)
    page.locator("#text").fill("")

"""A context that will not hold the next answer (the model has 256 tokens): said before sending, with what helps."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from .imported_chats import Turn, bring_in

if TYPE_CHECKING:
    from .watched_page import Watched

api = pytest.importorskip("playwright.sync_api", reason="pip install playwright brings it")
pytestmark = pytest.mark.slow  # a browser and a server
expect = api.expect

LONG = "请记住下面的话：昨天我们在紫竹院散步，今天想去颐和园，明天大概会下雨。"


def long_chat(window: Watched, title: str) -> None:
    turns = [Turn("user" if number % 2 == 0 else "assistant", LONG) for number in range(10)]
    bring_in(window, title, turns, model="demo")


def test_the_meter_counts_while_one_types(shown: Watched) -> None:
    page = shown.page
    meter = page.locator("#meter")
    expect(meter).to_contain_text("of 256 tokens")
    empty = meter.inner_text()
    page.locator("#text").fill("昨天我们在紫竹院散步")
    expect(meter).not_to_have_text(empty)
    expect(meter).to_have_attribute("title", re.compile("this text: [0-9]+ tokens"))


def test_sliding_is_asked_for_shown_and_kept(shown: Watched) -> None:
    page = shown.page
    long_chat(shown, "sliding")
    warning = page.locator("#context-warning")
    page.locator("#text").fill("你好")
    expect(warning).to_contain_text("The context is too small")
    expect(page.locator(".message.will-drop").first).to_be_attached()
    page.keyboard.press("Enter")
    expect(page.locator(".message.user")).to_have_count(5)  # nothing was sent
    expect(warning.get_by_role("button").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(warning).to_contain_text("Will be left out")
    page.locator("#text").focus()
    page.keyboard.press("Enter")
    shown.wait_for_answer("你好")
    expect(page.locator(".left-out")).to_contain_text("no longer seen by the model")
    expect(page.locator(".message.was-dropped").first).to_be_attached()
    page.get_by_role("button", name="Settings of this chat").click()
    expect(page.locator("#overflow")).to_have_value("slide")


def test_a_text_that_is_too_long_is_shortened(shown: Watched) -> None:
    page = shown.page
    text = "昨天我们在紫竹院散步，" * 120
    page.locator("#text").fill(text)
    page.locator("#context-warning").get_by_role("button", name="Shorten my text to fit").click()
    expect(page.locator("#context-warning")).to_be_hidden()
    kept = page.locator("#text").input_value()
    assert 0 < len(kept) < len(text)
    assert text.startswith(kept)
    page.locator("#text").fill("")


def test_a_new_chat_goes_on_from_a_summary(shown: Watched) -> None:
    page = shown.page
    long_chat(shown, "to sum up")
    page.locator("#text").fill("你好")
    before = page.url
    page.locator("#context-warning").get_by_role("button", name="New chat with a summary").click()
    page.wait_for_url(lambda url: url != before)
    assert "#chat/" in page.url
    expect(page.locator(".message, #greeting").first).to_be_attached()

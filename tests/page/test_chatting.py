"""A chat from its first turn on: asked, answered, copied, edited, asked again, walked through, kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Open
    from .watched_page import Watched

api = pytest.importorskip("playwright.sync_api", reason="pip install playwright brings it")
pytestmark = pytest.mark.slow  # a browser and a server
expect = api.expect


def test_first_turn_makes_a_chat(shown: Watched) -> None:
    """A greeting, an offer taken, an answer; the chat is in the list, the address names it, a reload shows it."""
    page = shown.page
    expect(page.locator(".offer")).to_have_count(4)
    page.locator(".offer").first.click()
    expect(page.locator("#text")).not_to_be_empty()
    shown.ask("你是谁？")
    expect(page.locator("#greeting")).to_be_hidden()
    expect(page.locator("#chat-title")).to_contain_text("你是谁")
    expect(page.locator('.chat-row a[aria-current="page"]')).to_contain_text("你是谁")
    assert "#chat/" in page.url
    answer = page.locator(".message.assistant .prose").inner_text()
    assert answer.strip()
    assert page.locator(".message.assistant .prose").get_attribute("lang") == "zh-CN"
    page.reload()
    expect(page.locator(".message.assistant .prose")).to_have_text(answer)
    assert page.title() == "你是谁？ – BELLE Edge"


def test_how_an_answer_was_made_is_one_click_away(shown: Watched) -> None:
    shown.ask("54加42等于多少？")
    shown.page.get_by_role("button", name="How this answer was made").click()
    facts = shown.page.locator("dialog").inner_text()
    for word in ("demo", "Seed", "Prompt", "tokens/s", "temperature"):
        assert word in facts
    shown.page.keyboard.press("Escape")
    expect(shown.page.locator("dialog")).to_have_count(0)
    expect(shown.page.get_by_role("button", name="How this answer was made")).to_be_focused()


def test_copy(shown: Watched) -> None:
    shown.ask("给“钢琴”分类。")
    answer = shown.page.locator(".message.assistant")
    answer.get_by_role("button", name="Copy").click()
    expect(shown.page.locator("#announcements")).to_have_text("Copied.")
    copied = shown.page.evaluate("navigator.clipboard.readText()")
    assert copied.strip() == answer.locator(".prose").inner_text().strip()


def test_branches_of_answers_and_of_turns(shown: Watched) -> None:
    """Another answer and an edited turn stand beside the first; ‹ 2/2 › walks between them, and a reload keeps it."""
    page = shown.page
    shown.ask("请告诉我日本的首都。")
    page.locator(".message.assistant").get_by_role("button", name="Answer again").click()
    answer = page.locator(".message.assistant")
    expect(answer.locator(".branches")).to_contain_text("2/2")
    expect(answer).not_to_have_attribute("data-state", "writing")
    answer.get_by_role("button", name="Previous version").click()
    expect(answer.locator(".branches")).to_contain_text("1/2")
    expect(answer.get_by_role("button", name="Previous version")).to_be_disabled()

    turn = page.locator(".message.user")
    turn.hover()
    turn.get_by_role("button", name="Edit").click()
    field = turn.locator("textarea")
    expect(field).to_be_focused()
    expect(field).to_have_value("请告诉我日本的首都。")
    field.fill("请告诉我法国的首都。")
    page.keyboard.press("Enter")
    shown.wait_for_answer("法国")
    expect(turn.locator(".branches")).to_contain_text("2/2")
    expect(page.locator(".message")).to_have_count(2)
    page.reload()
    expect(turn.locator(".text")).to_have_text("请告诉我法国的首都。")
    turn.get_by_role("button", name="Previous version").click()
    expect(turn.locator(".text")).to_have_text("请告诉我日本的首都。")
    expect(answer.locator(".branches")).to_contain_text("/2")


def test_a_draft_survives_a_reload_and_belongs_to_its_chat(shown: Watched) -> None:
    page = shown.page
    shown.ask("21，23，25，27，下一个数是多少？")
    page.locator("#text").fill("写到一半")
    page.reload()
    page.wait_for_selector("body[data-ready]")
    expect(page.locator("#text")).to_have_value("写到一半")
    page.locator("#new-chat").click()
    expect(page.locator("#text")).to_have_value("")
    page.locator("#text").fill("another one")
    page.go_back()
    expect(page.locator("#text")).to_have_value("写到一半")
    page.locator("#new-chat").click()
    expect(page.locator("#text")).to_have_value("another one")
    page.locator("#text").fill("")


def test_two_windows_show_the_same(window: Open) -> None:
    """What one window does, the other shows: turns, answers, another version, a new title, a deletion."""
    one, two = window(), window(locale="es-ES")
    one.open()
    one.ask("9千米等于多少米？")
    two.open("/" + one.page.url.partition("/#")[2].join(["#", ""]))
    expect(two.page.locator(".message.user .text")).to_have_text("9千米等于多少米？")
    two.ask("3千米等于多少米？")
    expect(one.page.locator(".message.user")).to_have_count(2)
    expect(one.page.locator(".message.assistant").last).not_to_have_attribute("data-state", "writing")
    for place in (".message.user .text", ".message.assistant .prose"):
        expect(one.page.locator(place).last).to_have_text(two.page.locator(place).last.inner_text())
    one.page.locator(".message.assistant").last.get_by_role("button", name="Answer again").click()
    expect(two.page.locator(".message.assistant").last.locator(".branches")).to_contain_text("2/2")


def test_code_blocks_have_their_language_copy_and_wrap(shown: Watched) -> None:
    """On an imported answer, since the bundled model writes no code."""
    from .imported_chats import Turn, bring_in

    bring_in(
        shown, "code", [Turn("user", "code?"), Turn("assistant", "So:\n\n```python\nprint('你好')\n```\n")]
    )
    figure = shown.page.locator("figure.code")
    expect(figure.locator(".code-language")).to_have_text("python")
    figure.get_by_role("button", name="Copy code").click()
    expect(shown.page.locator("#announcements")).to_have_text("Copied.")
    assert shown.page.evaluate("navigator.clipboard.readText()") == "print('你好')\n"
    wrap = figure.get_by_role("button", name="Wrap long lines")
    wrap.click()
    expect(wrap).to_have_attribute("aria-pressed", "true")
    assert figure.locator("pre").evaluate("pre => getComputedStyle(pre).whiteSpace") == "pre-wrap"

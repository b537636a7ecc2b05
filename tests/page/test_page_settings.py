"""Languages, themes, settings of a chat, models: chosen, kept, and taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Open
    from .watched_page import Watched

api = pytest.importorskip("playwright.sync_api", reason="pip install playwright brings it")
pytestmark = pytest.mark.slow  # a browser and a server
expect = api.expect

GREETINGS = {"zh-CN": "今天想写点什么？", "en-US": "What shall we write?", "es-MX": "¿Qué escribimos hoy?"}


@pytest.fixture
def own(window: Open, start: object, demo_file: object) -> Watched:
    """A window on a server whose settings are nobody else's."""
    server = start(demo_file)  # type: ignore[operator]
    watched = window(server.address)
    watched.open()
    return watched


@pytest.mark.parametrize("locale", GREETINGS)
def test_the_browsers_language(window: Open, locale: str) -> None:
    watched = window(locale=locale)
    watched.open()
    expect(watched.page.locator("#greeting h2")).to_have_text(GREETINGS[locale])
    expect(watched.page.locator("html")).to_have_attribute(
        "lang", locale if locale == "zh-CN" else locale[:2]
    )


def test_another_language_without_a_reload(own: Watched) -> None:
    """What is typed stays; what is open changes too; a reload begins in it."""
    page = own.page
    page.locator("#text").fill("half a thought")
    page.get_by_role("button", name="Settings", exact=True).click()
    page.locator("#language").focus()
    for code, title, greeting in (
        ("zh", "设置", "今天想写点什么？"),
        ("es", "Ajustes", "¿Qué escribimos hoy?"),
    ):
        page.locator("#language").select_option(code)
        expect(page.locator("dialog h2")).to_have_text(title)
        expect(page.locator("#greeting h2")).to_have_text(greeting)
    expect(page.locator("#language")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#text")).to_have_value("half a thought")
    own.open()
    expect(page.locator("#greeting h2")).to_have_text("¿Qué escribimos hoy?")


def background(watched: Watched) -> str:
    return str(watched.page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))


def test_themes(own: Watched, window: Open) -> None:
    page = own.page
    light = background(own)
    page.get_by_role("button", name="Settings", exact=True).click()
    page.locator("#theme-dark").check()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    dark = background(own)
    assert dark != light
    page.reload()
    assert background(own) == dark
    follows = window(color_scheme="dark")
    follows.open()
    assert background(follows) == dark


def test_settings_of_a_chat_and_the_way_back_to_the_preset(own: Watched) -> None:
    page = own.page
    open_sheet = page.get_by_role("button", name="Settings of this chat")
    open_sheet.click()
    temperature = page.locator("#dial-temperature")
    preset = temperature.get_attribute("placeholder")
    assert preset
    temperature.fill("0")
    page.locator("#dial-seed").fill("7")
    page.locator("#system").fill("回答要短。")
    page.keyboard.press("Escape")
    own.ask("你是谁？")
    page.locator(".message.assistant").get_by_role("button", name="How this answer was made").click()
    facts = page.locator("dialog .facts")
    expect(facts.first).to_contain_text("7")
    page.keyboard.press("Escape")
    page.reload()
    open_sheet.click()
    expect(temperature).to_have_value("0")
    expect(page.locator("#system")).to_have_value("回答要短。")
    temperature.fill("-3")
    expect(temperature).to_have_attribute("aria-invalid", "true")
    page.get_by_role("button", name="Back to the preset").click()
    expect(temperature).to_have_value("")
    expect(page.locator("#dial-seed")).to_have_value("")
    expect(page.locator("#system")).to_have_value("回答要短。")
    page.keyboard.press("Escape")
    page.reload()
    open_sheet.click()
    expect(temperature).to_have_value("")


def test_models(own: Watched) -> None:
    """What a model is and needs; loaded and freed again."""
    page = own.page
    page.locator("#model").click()
    card = page.locator('.model-card[data-model="demo"]')
    for fact in ("context of 256 tokens", "MB", "Q4_0"):
        expect(card.locator(".model-facts")).to_contain_text(fact)
    expect(card).to_contain_text("in use here")
    card.locator("summary").click()
    expect(card.locator("details")).to_contain_text("research")
    free = card.get_by_role("button", name="Free its memory")
    load = card.get_by_role("button", name="Load now")
    expect(free).to_be_visible()
    free.click()
    expect(card.locator(".memory")).to_contain_text("Fits: needs")
    load.click()
    expect(card.locator(".memory")).to_contain_text("Loaded, takes")
    expect(page.locator("#model .dot")).to_have_class("dot loaded")

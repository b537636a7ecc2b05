"""The page of a comparison in Chromium, from a file: nothing leaves, axe is content, languages change by a key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from belle_edge.quality.comparison import Side, WorstPrompt
from belle_edge.quality.comparison_page import write_page

from ..page.conftest import browser  # noqa: F401
from ..page.test_hostile_text import ATTACKS
from ..page.watched_page import Watched, watched
from .hand_made import comparison

if TYPE_CHECKING:
    from playwright.sync_api import Browser

api = pytest.importorskip("playwright.sync_api", reason="pip install playwright brings it")
axe_module = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python"
)
pytestmark = pytest.mark.slow  # a browser
HEADINGS = {
    "zh": "原模型还剩多少？",
    "en": "How much of the original is left?",
    "es": "¿Cuánto queda del original?",
}
TAGS = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "comparison.html"
    write_page(comparison(), path, "en")
    return path.as_uri()


@pytest.fixture
def shown(browser: Browser, address: str) -> Iterator[Watched]:  # noqa: F811
    """A window that shows it."""
    with watched(browser, address) as window:
        window.page.goto(address)
        yield window


def heading(window: Watched) -> str:
    return window.page.get_by_role("heading", level=1).inner_text()


def test_only_the_file_itself_is_asked_for(shown: Watched) -> None:
    for language, words in HEADINGS.items():
        shown.page.locator(f"#say-{language}").check()
        assert heading(shown) == words
    assert [url for url in shown.requests if not url.startswith("data:")] == [shown.address]


def test_the_language_changes_by_a_key(shown: Watched) -> None:
    page = shown.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "say-en"
    page.keyboard.press("ArrowRight")
    assert heading(shown) == HEADINGS["es"]
    page.keyboard.press("ArrowRight")
    assert heading(shown) == HEADINGS["zh"]
    page.keyboard.press("Tab")  # to the table, which arrow keys scroll
    assert page.evaluate("document.activeElement.tagName") != "INPUT"


def test_it_needs_no_javascript(browser: Browser, address: str) -> None:  # noqa: F811
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert page.get_by_role("heading", level=1).inner_text() == HEADINGS["en"]
    page.locator("#say-zh").check()
    assert page.get_by_role("heading", level=1).inner_text() == HEADINGS["zh"]
    context.close()


@pytest.mark.parametrize(("theme", "languages"), [("light", ["zh", "en"]), ("dark", ["es"])])
def test_axe(shown: Watched, theme: str, languages: list[str]) -> None:
    page = shown.page
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    for language in languages:
        page.locator(f"#say-{language}").check()
        page.locator("details:visible").evaluate_all("all => all.forEach((one) => { one.open = true; })")
        found = axe_module.Axe().run(page, options=TAGS).response["violations"]
        assert [(rule["id"], node["target"], node["html"]) for rule in found for node in rule["nodes"]] == []


def test_nothing_is_wider_than_the_window(shown: Watched) -> None:
    page = shown.page
    for language in HEADINGS:
        page.locator(f"#say-{language}").check()
        for width in (360, 700, 1600):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") == width, language
            assert page.locator("svg.plot:visible").count() == 3  # of the two pictures of each chart one


def test_hostile_text_stays_text(browser: Browser, tmp_path: Path) -> None:  # noqa: F811
    worst = tuple(WorstPrompt("en", attack, 1.0, attack, "x" + attack, 0) for attack in ATTACKS[:10])
    side = Side(ATTACKS[0] + "\u202e", "gguf", ATTACKS[1], 10**6, "native")
    made = comparison("damaged", worst=worst, side=side)
    path = tmp_path / "hostile.html"
    write_page(replace(made, reference=replace(made.reference, name=ATTACKS[3])), path, "en")
    with watched(browser, path.as_uri()) as window:
        window.page.goto(window.address)
        window.page.wait_for_timeout(150)  # for what would load, and then fire
        assert not window.page.evaluate("'attacked' in window")
        assert window.page.locator("blockquote:visible").first.inner_text() == ATTACKS[0]
        assert (
            window.page.locator("main :is(script, iframe, img, form, style, link, base, meta)").count() == 0
        )


def test_the_policy_would_catch_it(shown: Watched) -> None:
    """That these checks can fail: what is forced in by hand is stopped by the policy, and is noted."""
    shown.page.evaluate(
        "document.body.append(Object.assign(document.createElement('img'), {src: 'https://elsewhere.example/'}))"
    )
    shown.until("window.violations.length > 0")
    assert "img-src" in shown.page.evaluate("window.violations[0]")
    shown.page.evaluate("window.violations.length = 0")
    shown.troubles.clear()
    shown.requests.clear()


def test_print_shows_one_language_and_every_prompt(shown: Watched) -> None:
    page = shown.page
    page.emulate_media(media="print")
    assert page.locator("fieldset").is_hidden()
    assert page.locator("article:visible").count() == 1
    assert page.pdf(format="A4").startswith(b"%PDF-")
    folded = page.locator("article:visible details li").last
    assert folded.bounding_box() is not None

"""axe on every screen, light and dark; what a screen reader hears; what moves; what a thumb reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .imported_chats import Turn, bring_in

if TYPE_CHECKING:
    from .conftest import Open
    from .watched_page import Watched

api = pytest.importorskip("playwright.sync_api", reason="pip install playwright brings it")
axe_module = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python"
)
pytestmark = pytest.mark.slow  # a browser and a server
expect = api.expect

RICH = """好的，**这是**一个例子：

```python
def search(items):  # 查找
    return [item for item in items if item > "a"]
```

| 方法 | 步数 |
|---|---|
| 二分 | $\\log_2 n$ |

$$\\int_0^1 x\\,dx = \\frac12$$

> 引文，见 [这里](https://example.org)

1. 一
2. 二
"""


def findings(window: Watched) -> list[str]:
    """What axe finds, by rule and place; anything but the advice of its best practices."""
    tags = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}
    found = axe_module.Axe().run(window.page, options=tags).response["violations"]
    return [
        f"{rule['id']}: {node['target']} {node['any'][0]['message'] if node['any'] else ''}"
        for rule in found
        for node in rule["nodes"]
    ]


def screens(window: Watched) -> None:
    """Go through all that can be open, and ask axe each time."""
    page = window.page
    assert findings(window) == [], "the empty chat"
    bring_in(
        window,
        "axe",
        [
            Turn("user", "给我一个例子"),
            Turn("assistant", RICH, "stopped"),
            Turn("user", "谢谢"),
            Turn("assistant", "不客气", "cut"),
        ],
    )
    page.locator("#text").fill("很长的话，" * 150)
    expect(page.locator("#context-warning")).to_be_visible()
    assert findings(window) == [], "a chat"
    page.locator("#text").fill("")
    for button in ("Settings of this chat", "Settings", "Model: demo"):
        if button == "Settings" and page.locator("#sidebar").evaluate("nav => nav.inert"):
            page.locator("#open-sidebar").click()
        page.get_by_role("button", name=button, exact=True).click()
        expect(page.locator("dialog[open]")).to_be_visible()
        assert findings(window) == [], button
        page.keyboard.press("Escape")
        if page.locator("body.drawer").count():
            page.locator("#close-sidebar").click()
    page.locator(".message.assistant").first.get_by_role("button", name="How this answer was made").click()
    assert findings(window) == [], "details"
    page.keyboard.press("Escape")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe(window: Open, theme: str) -> None:
    watched = window(color_scheme=theme, reduced_motion="reduce")
    watched.open()
    screens(watched)


def test_axe_on_a_phone(window: Open) -> None:
    """Where actions are always in sight, and nothing is wider than the screen."""
    watched = window(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, reduced_motion="reduce"
    )
    watched.open()
    screens(watched)
    actions = watched.page.locator(".message.assistant .actions").first
    assert actions.evaluate("row => getComputedStyle(row).opacity") == "1"
    assert watched.page.evaluate("document.documentElement.scrollWidth") == 390


def test_a_finished_answer_is_said_once(shown: Watched) -> None:
    page = shown.page
    page.evaluate(
        """() => {
          window.said = [];
          new MutationObserver(() => {
            const text = document.querySelector("#announcements").textContent;
            if (text) window.said.push(text);
          }).observe(document.querySelector("#announcements"), {childList: true});
        }"""
    )
    shown.ask("给“钢琴”分类。")
    answer = page.locator(".message.assistant .prose").inner_text().strip()
    shown.until("window.said.length > 0")
    said = page.evaluate("window.said")
    assert len(said) == 1
    assert answer[:20] in said[0]
    expect(page.locator(".message.assistant")).to_have_attribute("aria-busy", "false")


def test_landmarks_and_headings(shown: Watched) -> None:
    page = shown.page
    expect(page.get_by_role("navigation", name="Chats")).to_be_visible()
    expect(page.get_by_role("main")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    expect(page.get_by_role("textbox", name="Your message")).to_be_visible()
    skip = page.locator(":is(a, button, input, textarea)").first
    expect(skip).to_have_id("skip")
    skip.focus()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#text")).to_be_focused()


def test_nothing_moves_where_motion_is_unwanted(window: Open) -> None:
    watched = window(reduced_motion="reduce")
    watched.open()
    moving = """[...document.querySelectorAll("*")].filter((element) => {
      const style = getComputedStyle(element);
      return style.transitionDuration.split(",").some((time) => parseFloat(time) > 0) || style.animationName !== "none";
    }).length"""
    assert watched.page.evaluate(moving) == 0


def test_no_motion_is_longer_than_120_ms(shown: Watched) -> None:
    longest = """Math.max(...[...document.querySelectorAll("*")].flatMap((element) =>
      getComputedStyle(element).transitionDuration.split(",").map((time) => parseFloat(time) * 1000)))"""
    assert 0 < shown.page.evaluate(longest) <= 120


def test_the_drawer_takes_and_gives_back_the_focus(window: Open) -> None:
    watched = window(viewport={"width": 768, "height": 900})
    watched.open()
    page = watched.page
    expect(page.locator("#sidebar")).not_to_be_visible()
    page.locator("#open-sidebar").click()
    expect(page.locator("#close-sidebar")).to_be_focused()
    assert page.locator("#main").evaluate("main => main.inert")
    page.keyboard.press("Escape")
    expect(page.locator("#open-sidebar")).to_be_focused()
    expect(page.locator("#sidebar")).not_to_be_visible()

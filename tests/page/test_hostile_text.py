"""Text that wants to be a program: in messages, titles, names of files, drafts. Nothing of it runs, nothing goes out.

What every window checks at its end (watched_page.py) is the half of it: no request to elsewhere, no violation of the
policy, no error. The other half is `window.attacked`, which each of these attacks would set.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from .imported_chats import Turn, bring_in

if TYPE_CHECKING:
    from pathlib import Path

    from .watched_page import Watched

api = pytest.importorskip("playwright.sync_api", reason="pip install playwright brings it")
pytestmark = pytest.mark.slow  # a browser and a server
expect = api.expect

ATTACKS = [
    "<script>window.attacked=1</script>",
    "<img src=x onerror=window.attacked=1>",
    "<img src=https://elsewhere.example/pixel.png>",
    "<svg onload=window.attacked=1><script>window.attacked=1</script></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=window.attacked=1></style></mglyph></table></mtext></math>",
    "<iframe srcdoc='<script>parent.attacked=1</script>'></iframe>",
    "<a href='javascript:window.attacked=1'>x</a>",
    "[x](javascript:window.attacked=1) [y](data:text/html,<script>window.attacked=1</script>)",
    "![](https://elsewhere.example/a.png) ![x](javascript:window.attacked=1)",
    "<form action=https://elsewhere.example><button autofocus onfocus=window.attacked=1>x</button></form>",
    "<style>body{background:url(https://elsewhere.example/b.png)}</style>",
    "<link rel=stylesheet href=https://elsewhere.example/c.css><base href=https://elsewhere.example/>",
    "<meta http-equiv=refresh content='0;url=https://elsewhere.example'>",
    '```"><script>window.attacked=1</script>\nx\n```',
    "$\\href{javascript:window.attacked=1}{x}$ $$\\unicode{<img src=x onerror=window.attacked=1>}$$",
    "$<script>window.attacked=1</script>$ $\\text{<img src=x onerror=window.attacked=1>}$",
    '<p id="composer" class="visually-hidden">x</p><div id="send-error">x</div>',
    "| <img src=x onerror=window.attacked=1> |\n|---|\n| <svg onload=window.attacked=1> |",
    "\u202e\u0000\u200b{{constructor.constructor('window.attacked=1')()}}${window.attacked=1}",
]


def attacked(window: Watched) -> bool:
    window.page.wait_for_timeout(150)  # for what would load, and then fire
    return bool(window.page.evaluate("'attacked' in window"))


def test_in_answers_and_turns(shown: Watched) -> None:
    """All of them in one chat; the page around stays whole."""
    turns = [Turn("user" if half else "assistant", text) for text in ATTACKS for half in (True, False)]
    bring_in(shown, "attacks", turns)
    page = shown.page
    page.locator("#thread").evaluate("thread => { thread.scrollTop = 0; }")
    expect(page.locator(".message")).to_have_count(len(turns))  # all of them are loaded
    page.locator(".message").first.scroll_into_view_if_needed()
    assert not attacked(shown)
    inside = (
        "#messages :is(script, iframe, object, embed, form, img, svg:not(.icon), style, link, base, meta)"
    )
    assert page.locator(inside).count() == 0
    assert page.locator("#messages [id]").count() == 0
    links = page.locator("#messages .prose a").evaluate_all("links => links.map((link) => link.protocol)")
    assert set(links) <= {"http:", "https:", "mailto:"}


def test_in_titles_names_and_errors(shown: Watched) -> None:
    """In the list, the heading, menus, search, details, and what stands in an import's message."""
    page = shown.page
    attack = '"><img src=x onerror=window.attacked=1>'
    more = {
        "settings": {attack: attack},
        "timings": {"tokens": 3},
        "model": attack,
        "error": {"code": "x", "message": attack},
    }
    bring_in(
        shown,
        attack,
        [Turn("user", attack), Turn("assistant", attack, "failed", more)],
        system=attack,
        draft=attack,
    )
    expect(page.locator("#chat-title")).to_have_text(attack)
    expect(page.locator("#text")).to_have_value(attack)
    expect(page.locator(".note.error")).to_contain_text(attack)
    page.get_by_role("button", name="How this answer was made").click()
    expect(page.locator("dialog")).to_contain_text(attack)
    page.keyboard.press("Escape")
    page.locator("#search").fill("onerror")
    expect(page.locator("#hits a").first).to_contain_text("onerror")
    page.locator("#chat-menu").click()
    page.get_by_role("menuitem", name="Delete").click()
    expect(page.locator("#undo")).to_contain_text(attack)
    assert not attacked(shown)


def test_in_files(shown: Watched, tmp_path: Path) -> None:
    """An attachment's name and text, an import that is no import, a catalogue of nothing but keys."""
    page = shown.page
    content = "<script>window.attacked=1</script>"
    page.locator("#file-picker").set_input_files(
        {
            "name": "<img src=x onerror=window.attacked=1>.txt",
            "mimeType": "text/plain",
            "buffer": content.encode(),
        }
    )
    expect(page.locator("#attachments .measure")).to_contain_text("tokens")
    page.locator("#attachments button").click()
    broken = tmp_path / "import.json"
    broken.write_text(json.dumps({"format": content, "version": content, "chats": content}), encoding="utf-8")
    page.get_by_role("button", name="Settings", exact=True).click()
    page.locator("#import-picker").set_input_files(broken)
    expect(page.locator(".outcome.problem")).not_to_be_empty()
    assert not attacked(shown)


def test_the_policy_would_catch_it(shown: Watched) -> None:
    """That these checks can fail: what is forced in by hand is stopped by the policy, and is noted."""
    page = shown.page
    forced = """() => {
      try {
        document.body.innerHTML += "<b>x</b>";
      } catch (error) {
        return String(error);
      }
      return "went in";
    }"""
    assert "TrustedHTML" in page.evaluate(forced)
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('img'), {src: 'https://elsewhere.example/'}))"
    )
    shown.until("window.violations.length >= 2")
    assert any("img-src" in violation for violation in page.evaluate("window.violations"))
    page.evaluate("window.violations.length = 0")
    shown.troubles.clear()
    shown.requests[:] = [url for url in shown.requests if "elsewhere.example" not in url]

"""A page in a real browser, under watch: nothing it does may leave its origin, break its policy or fail unnoticed."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, expect

READY_MS = 30_000
# A refused request is what some tests want; the browser writes it to its console as well.
_EXPECTED = re.compile(r"Failed to load resource: the server responded with a status of 4\d\d")
_COLLECT_VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`);
});
"""


@dataclass
class Watched:
    """One window, with what the watch has seen."""

    page: Page
    context: BrowserContext
    address: str
    requests: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    may_lose_server: bool = False  # a test that ends its server expects refused connections

    def open(self, path: str = "/") -> None:
        """Load it, until it is ready to be used."""
        self.page.goto(self.address + path)
        self.page.wait_for_selector("body[data-ready]", timeout=READY_MS)

    def ask(self, question: str) -> None:
        """Send a question and wait for the whole answer."""
        self.page.locator("#text").fill(question)
        self.page.keyboard.press("Enter")
        self.wait_for_answer(question)

    def wait_for_answer(self, question: str) -> None:
        """Until the answer below this turn is there."""
        turn = self.page.locator(".message.user", has_text=question).last
        expect(turn).to_be_visible()
        answer = turn.locator("xpath=following::*[contains(concat(@class, ' '), ' assistant ')]").first
        expect(answer).to_be_visible()
        expect(answer).not_to_have_attribute("data-state", "writing", timeout=READY_MS)

    def until(self, expression: str, argument: object = None) -> None:
        """Until it is true in the page. Playwright's own way evaluates a string there, which the policy forbids."""
        end = time.monotonic() + READY_MS / 1000
        while not self.page.evaluate(expression, argument):
            assert time.monotonic() < end, f"it never came: {expression}"
            self.page.wait_for_timeout(30)

    def check(self) -> None:
        """Everything went right, and nothing went out."""
        origin = urlsplit(self.address).netloc
        away = [
            url for url in self.requests if urlsplit(url).netloc != origin and not url.startswith("blob:")
        ]
        assert away == []
        assert self.troubles == [], self.troubles
        assert self.page.evaluate("window.violations") == []


@contextmanager
def watched(browser: Browser, address: str, **options: object) -> Iterator[Watched]:
    """A fresh window of a fresh profile; checked when it is closed."""
    settings: dict[str, object] = {
        "viewport": {"width": 1280, "height": 800},
        "locale": "en-GB",
        "permissions": ["clipboard-read", "clipboard-write"],
        **options,
    }
    context = browser.new_context(**settings)  # type: ignore[arg-type]
    context.add_init_script(_COLLECT_VIOLATIONS)
    context.set_default_timeout(READY_MS)
    window = Watched(context.new_page(), context, address)
    watch(window, window.page)
    try:
        yield window
        window.check()
    finally:
        context.close()


def watch(window: Watched, page: Page) -> None:
    """Note what a page of this window asks for and complains about."""

    def heard(kind: str, text: str) -> None:
        lost = window.may_lose_server and "ERR_" in text
        if kind == "error" and not _EXPECTED.search(text) and not lost:
            window.troubles.append(text)

    page.on("request", lambda request: window.requests.append(request.url))
    page.on("console", lambda message: heard(message.type, message.text))
    page.on("pageerror", lambda error: window.troubles.append(str(error)))

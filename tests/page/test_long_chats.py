"""A chat of many messages is loaded in pieces, and stays where the reader is. benchmarks/page_long_chat.py times it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .imported_chats import Turn, bring_in

if TYPE_CHECKING:
    from .watched_page import Watched

api = pytest.importorskip("playwright.sync_api", reason="pip install playwright brings it")
pytestmark = pytest.mark.slow  # a browser and a server
expect = api.expect

COUNT = 400


@pytest.fixture
def long(shown: Watched) -> Watched:
    """A window on a long chat, at its end."""
    turns = [
        Turn("user" if number % 2 == 0 else "assistant", f"Number {number}.\n\n" + "很多字。" * (number % 40))
        for number in range(COUNT)
    ]
    bring_in(shown, "long", turns)
    return shown


def shown_numbers(window: Watched) -> list[int]:
    texts = window.page.locator(".message").evaluate_all(
        "all => all.map((message) => message.textContent.match(/Number (\\d+)/)[1])"
    )
    return [int(text) for text in texts]


def test_it_opens_at_its_end_and_loads_what_is_scrolled_to(long: Watched) -> None:
    page = long.page
    expect(page.locator(".message", has_text=f"Number {COUNT - 1}.")).to_be_in_viewport()
    assert len(shown_numbers(long)) < COUNT // 2
    thread = page.locator("#thread")
    for _ in range(400):
        thread.evaluate("thread => { thread.scrollTop -= 3000; }")
        page.wait_for_timeout(30)
        if page.locator(".message", has_text="Number 0.").count():
            break
    numbers = shown_numbers(long)
    assert numbers == list(range(len(numbers)))
    assert len(numbers) < COUNT // 2  # those at the other end have gone
    page.locator("#to-end").click()
    expect(page.locator(".message", has_text=f"Number {COUNT - 1}.")).to_be_in_viewport()


def test_what_comes_above_does_not_move_what_is_read(long: Watched) -> None:
    page = long.page
    thread = page.locator("#thread")
    thread.evaluate("thread => { thread.scrollTop = 1500; }")
    page.wait_for_timeout(300)
    first_seen = """() => {
      const edge = document.querySelector("#thread").getBoundingClientRect().top;
      const all = [...document.querySelectorAll(".message")];
      const message = all.find((one) => one.getBoundingClientRect().bottom > edge + 5);
      return [message.dataset.message, Math.round(message.getBoundingClientRect().top)];
    }"""
    before, count = page.evaluate(first_seen), len(shown_numbers(long))
    page.evaluate("import('/page/js/chats.js').then((chats) => chats.loadOlder())")
    long.until("count => document.querySelectorAll('.message').length > count", count)
    page.wait_for_timeout(200)
    after = page.evaluate(first_seen)
    assert after[0] == before[0]
    assert abs(after[1] - before[1]) <= 2


def test_from_a_hit_in_the_middle_one_reads_on_to_the_end(long: Watched) -> None:
    page = long.page
    page.locator("#search").fill("Number 77.")
    page.locator("#hits a", has_text="Number 77.").first.click()
    expect(page.locator(".message", has_text="Number 77.")).to_be_in_viewport()
    expect(page.locator("#to-end")).to_be_visible()
    numbers = shown_numbers(long)
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    page.locator("#to-end").click()
    expect(page.locator(".message", has_text=f"Number {COUNT - 1}.")).to_be_in_viewport()

"""Answers that take their time: phases, stop, continue, a line of those that wait; a server that dies in the middle.

The model is random and never ends by itself, so that there is always something to stop.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Open
    from .watched_page import Watched

api = pytest.importorskip("playwright.sync_api", reason="pip install playwright brings it")
pytestmark = pytest.mark.slow  # a browser and a server
expect = api.expect

LONGER_THAN = "length => document.querySelector('.assistant .prose').innerText.length > length"


@pytest.fixture(scope="session")
def endless_file(converted: Callable[[str, str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose answers end only at their limit."""
    path = tmp_path_factory.mktemp("endless") / "endless.gguf"
    return Path(shutil.copy(converted("large", "f32"), path))


@pytest.fixture(scope="module")
def endless(start: Callable[..., object], endless_file: Path) -> object:
    return start(endless_file, "--max-running", "1")


@pytest.fixture
def writing(window: Open, endless: object) -> Watched:
    """A window in which an answer is being written."""
    watched = window(endless.address)  # type: ignore[attr-defined]
    watched.open()
    begin(watched, "Tell me a story")
    expect(watched.page.locator(".message.assistant .prose")).not_to_be_empty()
    return watched


def begin(watched: Watched, text: str) -> None:
    watched.page.locator("#text").fill(text)
    watched.page.keyboard.press("Enter")
    expect(watched.page.locator(".message.user").last).to_contain_text(text)


def stopped(watched: Watched) -> None:
    expect(watched.page.locator(".message.assistant").last).to_have_attribute("data-state", "stopped")


def test_writing_is_measured_stopped_and_continued(writing: Watched) -> None:
    page = writing.page
    expect(page.locator(".status")).to_contain_text("tokens/s")
    expect(page.locator(".writing-mark")).to_have_count(1)
    page.locator("#text").fill("too early")
    page.keyboard.press("Enter")
    expect(page.locator("#send-error")).to_contain_text("stop it with Esc")
    page.keyboard.press("Escape")
    stopped(writing)
    expect(page.locator("#send-error")).to_be_hidden()
    expect(page.locator("#text")).to_have_value("too early")
    before = page.locator(".message.assistant .prose").inner_text()
    expect(page.locator(".note")).to_contain_text("You stopped this answer.")
    page.reload()
    expect(page.locator(".message.assistant .prose")).to_have_text(before, use_inner_text=True)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    writing.until(LONGER_THAN, len(before) + 20)
    page.get_by_role("button", name="Stop").click()
    stopped(writing)
    assert page.locator(".message.assistant .prose").inner_text().startswith(before[: len(before) // 2])
    expect(page.locator(".message")).to_have_count(2)


def test_a_second_window_joins_in_the_middle_and_a_second_request_waits(
    writing: Watched, window: Open
) -> None:
    other = window(writing.address)
    other.open("/" + "#" + writing.page.url.partition("#")[2])
    expect(other.page.locator(".message.assistant .prose")).not_to_be_empty()
    expect(other.page.get_by_role("button", name="Stop")).to_be_visible()
    third = window(writing.address)
    third.open()
    begin(third, "Me too")
    expect(third.page.locator(".status")).to_contain_text("Waiting in line")
    other.page.get_by_role("button", name="Stop").click()
    stopped(writing)
    stopped(other)
    assert same_text(writing, other)
    expect(third.page.locator(".status")).to_contain_text("tokens/s")
    third.page.keyboard.press("Escape")
    stopped(third)


def same_text(*windows: Watched) -> bool:
    return len({watched.page.locator(".message.assistant .prose").inner_text() for watched in windows}) == 1


def test_the_view_follows_only_at_the_end(writing: Watched) -> None:
    page = writing.page
    page.set_viewport_size({"width": 390, "height": 320})
    thread = page.locator("#thread")
    writing.until("document.querySelector('#thread').scrollHeight > 700")
    at_end = """() => {
      const thread = document.querySelector("#thread");
      return thread.scrollHeight - thread.scrollTop - thread.clientHeight < 80;
    }"""
    assert page.evaluate(at_end)
    thread.hover()
    page.mouse.wheel(0, -300)
    expect(page.locator("#to-end")).to_be_visible()
    place = thread.evaluate("t => t.scrollTop")
    page.wait_for_timeout(400)
    assert abs(thread.evaluate("t => t.scrollTop") - place) < 2
    page.locator("#to-end").click()
    writing.until(at_end)
    page.wait_for_timeout(300)
    assert page.evaluate(at_end)
    page.locator("#text").focus()
    page.keyboard.press("Escape")
    stopped(writing)


def test_a_server_that_dies_loses_nothing(
    window: Open, start: Callable[..., object], endless_file: Path, tmp_path: Path
) -> None:
    """A calm notice while it is away; then the unfinished answer, marked, and the draft."""
    server = start(endless_file, BELLE_DATA=str(tmp_path))
    watched = window(server.address)  # type: ignore[attr-defined]
    watched.may_lose_server = True
    watched.open()
    page = watched.page
    begin(watched, "Before the end")
    watched.until(LONGER_THAN, 400)
    page.wait_for_timeout(700)  # it is kept every half second
    page.locator("#text").fill("a thought")
    server.process.send_signal(signal.SIGKILL)  # type: ignore[attr-defined]
    expect(page.locator("#connection")).to_contain_text("does not answer")
    page.keyboard.press("Enter")
    port = str(server.port)  # type: ignore[attr-defined]
    start(endless_file, "--port", port, BELLE_DATA=str(tmp_path))
    expect(page.locator("#connection")).to_be_hidden()
    answer = page.locator(".message.assistant")
    expect(answer).to_have_attribute("data-state", "cut")
    expect(page.locator(".note")).to_contain_text("BELLE Edge ended while it wrote this answer.")
    assert len(answer.locator(".prose").inner_text()) > 100
    expect(page.locator("#text")).to_have_value("a thought")
    page.get_by_role("button", name="Continue").click()
    expect(page.locator(".status")).to_contain_text("tokens/s")
    page.get_by_role("button", name="Stop").click()
    stopped(watched)

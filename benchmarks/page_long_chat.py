"""Does a chat of 2,000 messages scroll and search without a pause?

    python benchmarks/page_long_chat.py [--messages 2000]

A chat of that length is imported and opened in Chromium: scrolled from its end to its begin and some way back; then
searched, and opened at a hit. Prints the longest pause that each part had: the longest task of the page's thread (Long
Tasks API: those over 50 ms are told) and the longest gap between frames.
"""

from __future__ import annotations

import argparse
import time

from page_browser import bring_in, chromium, opened, served_page
from playwright.sync_api import Page

ANSWER = """第 {n} 条回答：先把数据**排好序**，再每次丢掉一半。

```python
def search(items, wanted):
    low, high = 0, len(items)
    while low < high:  # {n}
        middle = (low + high) // 2
    return -1
```

| 方法 | 步数 |
|---|---|
| 顺序 | $n$ |
| 二分 | $\\log_2 n$ |

- 一
- 二：`search`
"""
WATCH = """() => {
  window.tasks = [];
  window.gaps = [];
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.tasks.push(entry.duration);
  }).observe({type: "longtask"});
  let last = performance.now();
  const frame = (now) => {
    window.gaps.push(now - last);
    last = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=2000)
    count = parser.parse_args().messages
    turns = [
        ("user", f"第 {n} 个问题：什么是二分查找？") if n % 2 == 0 else ("assistant", ANSWER.format(n=n))
        for n in range(count)
    ]
    with served_page() as address, chromium() as browser:
        chat = bring_in(address, "long", turns)
        page = opened(browser, address, viewport={"width": 1280, "height": 800})
        page.evaluate(WATCH)
        told(page, "opened", lambda: open_chat(page, chat))
        told(page, "scrolled to its begin", lambda: scroll_up(page))
        told(page, "and back some way", lambda: scroll_down(page))
        told(page, "searched", lambda: search(page, f"第 {count // 2} 个"))
        told(page, "opened at a hit", lambda: open_hit(page))


def told(page: Page, what: str, action: object) -> None:
    """Do it, and print the longest pauses meanwhile."""
    page.evaluate("window.tasks.length = window.gaps.length = 0")
    begin = time.perf_counter()
    action()  # type: ignore[operator]
    seconds = time.perf_counter() - begin
    page.wait_for_timeout(300)
    task, gap = page.evaluate("[Math.max(0, ...window.tasks), Math.max(0, ...window.gaps)]")
    print(f"{what:26} {seconds:6.2f} s   longest task {task:4.0f} ms   longest gap of frames {gap:4.0f} ms")


def open_chat(page: Page, chat: str) -> None:
    page.evaluate("hash => { location.hash = hash; }", f"#chat/{chat}")
    page.wait_for_selector(".message.assistant figure.code")


def scroll_up(page: Page) -> None:
    page.mouse.move(700, 400)
    for _ in range(5000):
        page.mouse.wheel(0, -6000)
        page.wait_for_timeout(16)
        if page.evaluate("document.querySelector('.message .text')?.textContent.startsWith('第 0 个')"):
            return
    raise SystemExit("its begin never came")


def scroll_down(page: Page) -> None:
    for _ in range(100):
        page.mouse.wheel(0, 3000)
        page.wait_for_timeout(16)


def search(page: Page, text: str) -> None:
    page.locator("#search").fill(text)
    page.wait_for_selector("#hits a")


def open_hit(page: Page) -> None:
    page.locator("#hits a").first.click()
    page.wait_for_function("() => CSS.highlights.has('search-hit')")


if __name__ == "__main__":
    main()

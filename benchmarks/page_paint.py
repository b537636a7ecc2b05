"""How soon is the chat page there, and how many bytes is it?

    python benchmarks/page_paint.py [--runs 9]

The bundled model is served, and the page is opened in a fresh profile each time: nothing is cached. Prints medians in
milliseconds from the start of the navigation: the first paint, the first text, the moment the page can be used; and the
bytes of its files as they go over the wire.
"""

from __future__ import annotations

import argparse
import platform
import statistics

from page_browser import chromium, served_page

TIMES = """() => {
  const paint = (name) => performance.getEntriesByName(name)[0]?.startTime ?? NaN;
  return [paint("first-paint"), paint("first-contentful-paint"), window.readyAt];
}"""
WATCH = """
new MutationObserver(() => {
  if (document.body?.dataset.ready && !window.readyAt) window.readyAt = performance.now();
}).observe(document, {subtree: true, attributes: true, attributeFilter: ["data-ready"]});
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    times, sizes, files = [], [], 0
    with served_page() as address, chromium() as browser:
        for _ in range(runs):
            context = browser.new_context()
            page = context.new_page()
            page.add_init_script(WATCH)
            responses = []
            page.on("response", lambda response, kept=responses: kept.append(response))
            page.goto(address)
            page.wait_for_selector("body[data-ready]")
            page.wait_for_timeout(200)
            times.append(page.evaluate(TIMES))
            bodies = [one for one in responses if "/page/v1/" not in one.url]
            sizes.append(sum(len(one.body()) for one in bodies))
            files = len(bodies)
            context.close()
    print(f"machine: {platform.processor() or platform.machine()}, median of {runs}, nothing cached")
    for name, values in zip(("first paint", "first text", "ready"), zip(*times, strict=True), strict=True):
        print(f"{name:12} {statistics.median(values):7.0f} ms   (most {max(values):.0f} ms)")
    print(f"{'files':12} {files:7d}      {max(sizes) / 1000:.1f} kB")


if __name__ == "__main__":
    main()

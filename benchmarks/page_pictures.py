"""Makes the pictures of the chat page for the documents.

    python benchmarks/page_pictures.py [FOLDER]

The bundled model is served; the chats are imported from page_picture_chats.py, since so small a model writes no long
answers. Each picture has at most 256 colours, so that all of them stay below 1 MB. FOLDER: default docs/images.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from page_browser import bring_in, chromium, opened, served_page
from page_picture_chats import CHATS, OTHERS
from PIL import Image
from playwright.sync_api import Browser, Page

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "images"
COLOURS = 256
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
WIDE = {"viewport": {"width": 1280, "height": 800}}
LOCALES = {"zh": "zh-CN", "en": "en-GB", "es": "es-ES"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with served_page(name="belle-demo", context=2048) as address, chromium() as browser:
        for title in reversed(OTHERS):
            bring_in(address, title, [("user", title), ("assistant", "…")])
        chats = {
            language: bring_in(address, title, turns, model="belle-demo", timings={"tokens": 231})
            for language, (title, turns) in reversed(CHATS.items())
        }
        for language in CHATS:
            chat = f"{address}/#chat/{chats[language]}"
            theme = "dark" if language == "en" else "light"
            size = PHONE if language == "es" else WIDE
            save(window(browser, chat, language, theme, **size), folder / f"page-chat-{language}.png")
        save(window(browser, address, "zh", "light", **WIDE), folder / "page-empty-zh.png")
        models = window(browser, address, "zh", "light", **WIDE)
        models.locator("#model").click()
        save(models, folder / "page-models-zh.png")
    total = sum(path.stat().st_size for path in folder.glob("page-*.png"))
    print(f"{folder}: {total / 1000:.0f} kB")


def window(browser: Browser, address: str, language: str, theme: str, **options: Any) -> Page:
    """At its first answer, as a reader would begin."""
    page = opened(browser, address, locale=LOCALES[language], color_scheme=theme, **options)
    page.wait_for_timeout(800)
    page.evaluate("document.querySelector('#thread').scrollTop = 0")
    page.wait_for_timeout(300)
    return page


def save(page: Page, path: Path) -> None:
    page.wait_for_timeout(300)
    page.screenshot(path=path)
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    page.context.close()


if __name__ == "__main__":
    main()

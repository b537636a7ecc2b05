"""Makes the pictures of a comparison's page for the documents, and the page itself.

    python benchmarks/comparison_pictures.py [FOLDER] [--page FILE.html]

Three files of the bundled model are compared with it: q8_0, the default type, and one that was damaged on purpose. In
that one the rows of a layer's queries, keys and values stand in another order, as a wrong converter leaves them.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from page_browser import chromium
from page_pictures import FOLDER, save
from playwright.sync_api import Browser, Page
from safetensors.numpy import load_file, save_file

from belle_edge.convert import convert
from belle_edge.demo import checkpoint_path
from belle_edge.quality.comparison import Comparison
from belle_edge.quality.comparison.comparing import compare
from belle_edge.quality.comparison_page import write_page

LAYER = "transformer.h.1.self_attention.query_key_value.weight"
N_HEADS = 8
WIDE, PHONE = {"width": 1120, "height": 900}, {"width": 390, "height": 844}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    parser.add_argument("--page", type=Path, help="keep the page under this name")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        page = arguments.page or Path(folder) / "comparison.html"
        comparison = compared(Path(folder))
        write_page(comparison, page, "en", replace=True)
        for file in comparison.candidates:
            print(
                f"{file.side.name}: {file.verdict.level}, {file.verdict.n} of {file.verdict.of} first words change"
            )
        print(f"the page: {page.stat().st_size / 1000:.0f} kB")
        with chromium() as browser:
            pictures(browser, page.resolve().as_uri(), arguments.folder)


def compared(folder: Path) -> Comparison:
    """The bundled model and three files of it."""
    original, broken = folder / "belle-demo", folder / "broken"
    for copy in (original, broken):
        shutil.copytree(checkpoint_path(), copy)
    damage(broken / "model.safetensors")
    files = {"q8_0": (original, "q8_0"), "default": (original, None), "damaged": (broken, None)}
    for name, (source, type) in files.items():
        target = folder / f"belle-demo-{name}.gguf"
        convert(source, target, family="belle", **({} if type is None else {"type": type}))
    paths = [folder / f"belle-demo-{name}.gguf" for name in files]
    return compare(original, paths).comparison


def damage(path: Path) -> None:
    """Queries of all heads first, then keys, then values: BLOOM has the three of each head together."""
    tensors = load_file(path)
    rows, columns = tensors[LAYER].shape
    by_head = tensors[LAYER].reshape(N_HEADS, 3, rows // N_HEADS // 3, columns)
    tensors[LAYER] = by_head.transpose(1, 0, 2, 3).reshape(rows, columns).copy()
    save_file(tensors, path, metadata={"format": "pt"})


def pictures(browser: Browser, address: str, folder: Path) -> None:
    """The verdicts in English, the charts in Chinese and dark, a phone in Spanish."""
    folder.mkdir(parents=True, exist_ok=True)
    save(window(browser, address, "en", "light", WIDE), folder / "comparison-verdicts-en.png")
    charts = window(browser, address, "zh", "dark", {**WIDE, "height": 1700})
    charts.get_by_role("heading", name="图表").evaluate("heading => scrollTo(0, heading.offsetTop - 24)")
    save(charts, folder / "comparison-charts-zh.png")
    save(window(browser, address, "es", "light", PHONE), folder / "comparison-phone-es.png")
    total = sum(path.stat().st_size for path in folder.glob("comparison-*.png"))
    print(f"{folder}: {total / 1000:.0f} kB")


def window(browser: Browser, address: str, language: str, theme: str, size: dict[str, int]) -> Page:
    page = browser.new_context(viewport=size, color_scheme=theme).new_page()
    page.goto(address)
    page.locator(f"#say-{language}").check()
    page.evaluate("document.activeElement.blur()")
    return page


if __name__ == "__main__":
    main()

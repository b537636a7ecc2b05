"""The page's files as they lie: typed, small, without anything that a strict policy forbids."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
STATIC = HERE.parents[1] / "belle_edge" / "server" / "page" / "static"
MODULES = sorted((STATIC / "js").glob("*.js"))
STYLES = sorted((STATIC / "css").glob("*.css"))
MOST_BYTES = 250_000
MOST_LINES = 300
INSTALL = "npm install -g typescript@VERSION, with the version of tests/page/package.json"


def names_in(pattern: str, path: Path) -> set[str]:
    return set(re.findall(pattern, path.read_text(encoding="utf-8")))


def test_types() -> None:
    """JSDoc's types hold, in TypeScript's strictest reading."""
    program = shutil.which("tsc")
    if program is None:
        pytest.skip(f"tsc is not installed: {INSTALL}")
    wanted = json.loads((HERE / "package.json").read_text())["devDependencies"]["typescript"]
    version = subprocess.run([program, "--version"], capture_output=True, encoding="utf-8").stdout
    if version.split()[-1:] != [wanted]:
        pytest.skip(f"tsc is {version.strip()}, not {wanted}: {INSTALL}")
    done = subprocess.run([program, "-p", HERE / "tsconfig.json"], capture_output=True, encoding="utf-8")
    assert (done.stdout, done.returncode) == ("", 0)


def test_all_of_it_is_small() -> None:
    assert sum(path.stat().st_size for path in STATIC.rglob("*") if path.is_file()) <= MOST_BYTES


@pytest.mark.parametrize("path", [*MODULES, *STYLES], ids=lambda path: path.name)
def test_files_stay_readable(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_every_file_is_used_and_every_used_file_exists() -> None:
    imported = {"main.js", "theme.js"}
    for path in MODULES:
        imported |= names_in(r'from "\./([\w-]+\.js)"', path) | names_in(r'import\("\./([\w-]+\.js)"\)', path)
    assert imported == {path.name for path in MODULES}
    linked = names_in(r'href="/page/css/([\w-]+\.css)"', STATIC / "index.html")
    assert linked == {path.name for path in STYLES}


def test_html_enters_in_one_place() -> None:
    entrance = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|srcdoc|setHTML")
    found = {path.name for path in MODULES if entrance.search(path.read_text(encoding="utf-8"))}
    assert found == {"server-html.js"}


def test_nothing_is_inline() -> None:
    html = (STATIC / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<script(?![^>]*\bsrc=)", html) == []
    assert "<style" not in html
    assert re.findall(r"\s(?:style|on\w+)=", html) == []


def test_nothing_comes_from_elsewhere() -> None:
    texts = [path.read_text(encoding="utf-8") for path in STATIC.rglob("*") if path.is_file()]
    addresses = {
        address for text in texts for address in re.findall(r"(?:https?:)?//[\w-]+\.\w[\w./-]*", text)
    }
    assert addresses == {"http://www.w3.org/2000/svg"}  # the name of SVG's elements, not a place to load from


def test_chinese_is_not_spaced_out() -> None:
    assert [path.name for path in STYLES if "letter-spacing" in path.read_text(encoding="utf-8")] == []


def test_it_installs_as_an_app() -> None:
    manifest = json.loads((STATIC / "manifest.webmanifest").read_text(encoding="utf-8"))
    assert {manifest["name"], manifest["display"], manifest["start_url"]} == {"BELLE Edge", "standalone", "/"}
    for icon in manifest["icons"]:
        picture = STATIC / icon["src"].removeprefix("/page/")
        assert picture.read_text(encoding="utf-8").startswith("<svg"), picture

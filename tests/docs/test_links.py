"""Links between documents lead to files and headings; the tree in ARCHITECTURE.md is the real one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("docs", "tests", "belle_edge", "benchmarks", "tools", ".github")
DOCUMENTS = sorted(
    path
    for path in (*ROOT.glob("*.md"), *(found for name in FOLDERS for found in (ROOT / name).rglob("*.md")))
    if "node_modules" not in path.parts and "corpus" not in path.parts
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
PATH = re.compile(r"`((?:[\w.]+/)+[\w.]+\.(?:py|pyi|h|cpp|md|svg))`")
# llama.cpp's own, and files that a reader is to write
OTHERS = re.compile(r"^src/|(^|/)my\w+[./]|/myformat\.h$")
TREE_LINE = re.compile(r"^( *)((?:[\w.*]+(?:/|\.py|\.md|\.pyi|\.h|\.cpp) ?)+)", re.MULTILINE)


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def anchors(path: Path) -> set[str]:
    """What GitHub calls the headings of a document: lower case, no punctuation, hyphens for spaces."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        words = re.sub(r"[^\w\- ]", "", re.sub(r"\]\([^)]*\)", "", heading).lower())
        name = words.strip().replace(" ", "-")
        n_before = sum(re.fullmatch(rf"{re.escape(name)}(-\d+)?", other) is not None for other in found)
        found.add(f"{name}-{n_before}" if n_before else name)
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_to_files_and_headings(path: Path) -> None:
    for link in LINK.findall(without_code(path.read_text(encoding="utf-8"))):
        target, _, anchor = link.partition("#")
        if "://" in target:
            continue
        file = (path.parent / target).resolve() if target else path
        assert file.exists(), f"{path.name} links to {link}: no such file"
        if anchor:
            assert anchor in anchors(file), f"{path.name} links to {link}: {file.name} has no such heading"


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A `b`, c\n\n[here](#a-b-c) [there](page.md#a) [away](other.md)\n", encoding="utf-8")
    assert anchors(page) == {"a-b-c"}
    for link in ("[there](page.md#a)", "[away](other.md)"):
        page.write_text(f"# A `b`, c\n\n{link}\n", encoding="utf-8")
        with pytest.raises(AssertionError, match="links to"):
            test_links_lead_to_files_and_headings(page)


@pytest.fixture(scope="module")
def all_files() -> set[str]:
    folders = ("belle_edge", "convert", "csrc", "tests", "tools", "benchmarks", "examples", "docs", ".github")
    found = (path for folder in folders for path in (ROOT / folder).rglob("*.*"))
    return {path.relative_to(ROOT).as_posix() for path in found}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_that_are_named_exist(path: Path, all_files: set[str]) -> None:
    """Names with a folder, from the root of the repository or from a room in it."""
    named = {name for name in PATH.findall(path.read_text(encoding="utf-8")) if not OTHERS.search(name)}
    missing = {name for name in named if not any(f"/{file}".endswith(f"/{name}") for file in all_files)}
    assert not missing, f"{path.name} names {missing}"


def test_a_name_without_a_file_is_found(tmp_path: Path, all_files: set[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text("`docs/API.md` `core/profile.h` `csrc/core/nowhere.h`\n", encoding="utf-8")
    with pytest.raises(AssertionError, match=r"names \{'csrc/core/nowhere.h'\}"):
        test_files_that_are_named_exist(page, all_files)


def tree_paths(text: str) -> list[str]:
    """The files and folders that the tree names, from the root of the repository."""
    (tree,) = re.findall(r"^## The tree\n+```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    folders: list[str] = []
    found = []
    for line in tree.splitlines():
        match = TREE_LINE.match(line)
        if match is None or len(match.group(1)) > 4:  # deeper is text that goes on
            continue
        depth = len(match.group(1)) // 2
        names = match.group(2).split()
        found += ["".join(folders[:depth]) + name for name in names]
        folders[depth:] = [names[0]]
    return found


def test_the_tree_is_the_real_one() -> None:
    paths = tree_paths((ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8"))
    assert "csrc/kernels/" in paths
    missing = [path for path in paths if not list(ROOT.glob(path.rstrip("/")))]
    assert not missing, f"ARCHITECTURE.md names {missing}"


@pytest.mark.parametrize("room", ["belle_edge", "convert", "csrc", "csrc/kernels"])
def test_every_folder_is_in_the_tree(room: str) -> None:
    paths = tree_paths((ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8"))
    folders = [
        path.name
        for path in (ROOT / room).iterdir()
        if path.is_dir() and not path.is_symlink() and any(path.glob("*.[pch]*"))
    ]
    missing = [name for name in folders if f"{room}/{name}/" not in paths and name != "__pycache__"]
    assert not missing, f"ARCHITECTURE.md does not name {missing} in {room}"


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("README.md", 180),
        ("README.zh-CN.md", 180),
        ("docs/ARCHITECTURE.md", 160),
        ("docs/PERFORMANCE.md", 120),
    ],
)
def test_what_everybody_reads_stays_short(name: str, most: int) -> None:
    """Details go to docs/design and docs/measurements."""
    assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= most

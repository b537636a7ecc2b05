"""Documents are read in terminals and diffs too: no line of prose is wider than 120 columns."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = 120


def _load() -> ModuleType:
    """tests/docs/prose.py, which is a program of its own too."""
    name = "belle_tests_prose"
    spec = importlib.util.spec_from_file_location(name, ROOT / "tests" / "docs" / "prose.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


prose = _load()
DOCUMENTS = prose.documents()


def test_there_are_documents() -> None:
    assert {"README.md", "README.zh-CN.md", "SECURITY.md"} <= {path.name for path in DOCUMENTS}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_width(path: Path) -> None:
    """Tables and code blocks have a shape of their own, and nothing breaks an address."""
    text = path.read_text(encoding="utf-8")
    wide = {line.number: prose.width(line.text) for line in prose.prose_lines(text)}
    assert {number: columns for number, columns in wide.items() if columns > COLUMNS} == {}


def test_what_is_measured() -> None:
    text = (
        "# Head\n\nOne two. Three `four` five!\nsix\n\n| a | table |\n```\ncode that is left out\n```\n"
        "- an item. 你好，世界。再见\n  goes on [here](https://example.org/address)\n"
    )
    assert [(found.number, found.n_words) for found in prose.sentences(text)] == [
        (1, 1),
        (3, 2),
        (3, 4),
        (10, 2),
        (10, 4),
        (10, 5),
    ]
    assert [line.number for line in prose.prose_lines(text)] == [1, 2, 3, 4, 5, 10, 11]
    assert prose.width("你好 [a](https://example.org/x) b") == len("你好 []() b") + 2 + 1

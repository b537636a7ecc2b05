"""Files of others are read as JSON in one place, which bounds their size and depth."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Lines that this package's own child processes print to it; one runs where the package may be absent. Columns of the
# package's own database.
OTHERS = {
    "belle_edge/strict_json.py",
    "belle_edge/history/database.py",
    "belle_edge/benchmark/process.py",
    "belle_edge/benchmark/children/loop.py",
}


def readers() -> set[str]:
    """The modules that call json.load, json.loads or a JSONDecoder, under whatever name they import them."""
    found = set()
    for folder in ("belle_edge", "convert"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if name.startswith("belle_edge/convert/"):  # a link to convert/
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                reads = isinstance(node, ast.Attribute) and node.attr in ("loads", "load", "JSONDecoder")
                of_json = reads and isinstance(node.value, ast.Name) and node.value.id == "json"
                imported = isinstance(node, ast.ImportFrom) and node.module == "json"
                if of_json or imported:
                    found.add(name)
    return found


def test_one_reader() -> None:
    assert readers() == OTHERS

"""What the engine defines is written down once, in C++; Python reads it from `_core`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from belle_edge import _core

ROOT = Path(__file__).resolve().parents[2]
CONSTANTS = {name for name in vars(_core) if name.isupper()}
TYPES = set(_core.weight_types())
# Tables of what other formats have, by names that are the same: NumPy's types of a source, torch's storages.
TABLES_OF_OTHERS = {"convert/sources/source_tensors.py", "convert/sources/torch_pickle.py"}
# Words of our constants' names that are enough to recognise a copy under a longer or shorter name.
TELLING = {
    "MAX_THREADS",
    "PASS_ROWS",
    "PANEL_ROWS",
    "PAGE_TOKENS",
    "BLOCK_SIZE",
    "HEAD_DIM",
    "KV_TYPES",
    "CHUNK_BYTES",
    "HALF_OVERFLOW",
    "F16_LIMIT",
}


def modules(*more: str) -> Iterator[tuple[str, ast.Module]]:
    """Name and content of every module that is installed, and of `more` folders."""
    for folder in ("belle_edge", "convert", *more):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith("belle_edge/convert/"):  # a link to convert/
                yield name, ast.parse(path.read_text(encoding="utf-8"))


def is_literal(node: ast.expr) -> bool:
    """Whether a value is written down as numbers, texts or containers of them."""
    known = (
        ast.Constant,
        ast.BinOp,
        ast.UnaryOp,
        ast.operator,
        ast.unaryop,
        ast.Tuple,
        ast.List,
        ast.Set,
        ast.Dict,
    )
    return all(isinstance(part, (*known, ast.expr_context)) for part in ast.walk(node))


def copies(tree: ast.Module) -> Iterator[str]:
    """Names of module constants that have one of ours in them, and a value of their own."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = getattr(node, "value", None)
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or value is None or not is_literal(value):
            continue
        for target in targets:
            name = target.id.strip("_") if isinstance(target, ast.Name) else ""
            if name in CONSTANTS or any(word in name for word in TELLING):
                yield name


def listed_types(tree: ast.Module) -> Iterator[int]:
    """Lines of literal containers with three or more of the engine's tensor types."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
            items = node.elts
        elif isinstance(node, ast.Dict):
            items = [key for key in node.keys if key is not None]
        else:
            continue
        if len({item.value for item in items if isinstance(item, ast.Constant)} & TYPES) > 2:
            yield node.lineno


@pytest.mark.slow
def test_no_module_has_a_constant_of_the_engine() -> None:
    assert not {name: found for name, tree in modules("tools", "benchmarks") if (found := list(copies(tree)))}


def test_no_module_lists_the_engines_types() -> None:
    found = {name: lines for name, tree in modules() if (lines := list(listed_types(tree)))}
    assert not {name: lines for name, lines in found.items() if name not in TABLES_OF_OTHERS}


@pytest.mark.parametrize(
    "copy",
    [
        "_PAGE_TOKENS = 32",
        "MAX_THREADS: int = 1 << 10",
        '_KV_TYPES = ("f32", "f16")',
        "SIZE = 7\nF16_LIMIT = -1.0",
    ],
)
def test_a_copy_would_be_found(copy: str) -> None:
    assert list(copies(ast.parse(copy)))
    assert not list(copies(ast.parse("MAX_THREADS = limit()\nROWS = 7")))


def test_a_list_of_types_would_be_found() -> None:
    assert list(listed_types(ast.parse('TYPES = ("f32", "f16", "q4_0", "other")'))) == [1]

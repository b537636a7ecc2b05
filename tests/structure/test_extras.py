"""What `serve` and `desktop` import is what their extras install."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest

from belle_edge.cli import serving

ROOT = Path(__file__).resolve().parents[2]
_ROOMS = ("server", "history", "rendering", "languages")
_NAME = re.compile(r"[\w.-]+")


def _normal(requirement: str) -> str:
    found = _NAME.match(requirement)
    assert found is not None
    return found[0].lower().replace("_", "-")


def _promised() -> set[str]:
    """Distributions of the base install and of the extra `server`, with what FastAPI brings for its users."""
    tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["server"]]
    wanted += [one for one in requires("fastapi") or () if "extra ==" not in one]
    return {_normal(one) for one in wanted}


def _imported() -> set[str]:
    """Top-level names of other people's packages that the rooms import."""
    names: set[str] = set()
    for room in _ROOMS:
        for path in (ROOT / "belle_edge" / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Import):
                    names |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                    names.add(node.module.partition(".")[0])
    return {name for name in names if name not in sys.stdlib_module_names and name != "belle_edge"}


@pytest.mark.parametrize("names", ["imported", "asked for"])
def test_the_extra_brings_it(names: str) -> None:
    known, promised = packages_distributions(), _promised()
    wanted = _imported() if names == "imported" else {*serving._NEEDED, *serving._PAGE_NEEDS}
    optional = {"llguidance", "babel"}  # an extra of its own; a source tree's only
    missing = {
        name for name in wanted - optional if not {_normal(one) for one in known.get(name, [name])} & promised
    }
    assert missing == set()

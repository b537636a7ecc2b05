"""A file's name says which file it is: no two rooms of the Python package have a file of the same name."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = "belle_edge/cli"  # a file here has the name of its command, whatever does the work elsewhere
ADDRESSES = {"belle_edge/prompts.py"}  # a public address: the code is in the room of this name


def test_base_names_are_told_apart() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    files = [path for folder in ("belle_edge", "convert") for path in sorted((ROOT / folder).rglob("*.py"))]
    for path in files:
        name = path.relative_to(ROOT).as_posix()
        if name.startswith("belle_edge/convert/") or path.name.startswith("__") or name in ADDRESSES:
            continue
        if path.parent.relative_to(ROOT).as_posix() != COMMANDS or not is_command(path):
            places[path.name].append(name)
    assert not {name: found for name, found in places.items() if len(found) > 1}


def is_command(path: Path) -> bool:
    from belle_edge.cli.main import build_parser

    return any(path.stem in (action.choices or {}) for action in build_parser()._actions)

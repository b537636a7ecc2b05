"""The entry points of this source tree, for development installs that are older than one of them."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def add_entry_points(folder: Path, group: str) -> None:
    """Python finds those of pyproject.toml with `folder` on its path. Nothing is done where they are installed."""
    try:
        import tomllib
    except ImportError:  # before Python 3.11
        return
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = project["entry-points"][group]
    if named.items() <= {(found.name, found.value) for found in entry_points(group=group)}:
        return
    place = folder / "belle_edge_of_this_tree-0.dist-info"
    place.mkdir()
    lines = [f"{name} = {value}" for name, value in named.items()]
    (place / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]), encoding="utf-8")
    (place / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: belle-edge-of-this-tree\nVersion: 0\n", encoding="utf-8"
    )

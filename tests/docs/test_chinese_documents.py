"""The Chinese guides: what they name is complete, and they lead to each other."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GUIDES = ROOT / "docs" / "zh"


def requirements(name: str) -> set[str]:
    """The names of the packages in a list of pyproject.toml."""
    text = re.sub(r"#.*", "", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found = re.search(rf"^{name} = \[(.*?)\]$", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return set(re.findall(r'"([\w-]+)(?:>=|;)', found[1]))


def test_the_packages_for_another_system_are_all_named() -> None:
    """In the command that collects them; the program itself is built there."""
    needed = requirements("requires") | requirements("dependencies") | requirements("server")
    assert {"numpy", "pybind11", "ninja", "fastapi", "nh3"} <= needed
    guide = (GUIDES / "offline.md").read_text(encoding="utf-8")
    command = re.search(r"^pip download (.*?)^```", guide, re.MULTILINE | re.DOTALL)
    assert command is not None
    named = set(command[1].replace("\\", " ").split())
    assert needed - named == set()


def test_every_guide_is_in_the_list() -> None:
    listed = (GUIDES / "README.md").read_text(encoding="utf-8")
    names = {path.name for path in GUIDES.glob("*.md")} - {"README.md"}
    assert {name for name in names if f"({name})" not in listed} == set()
    assert "(docs/zh/README.md)" in (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")

"""The keys that DESKTOP.md names are those that the page lists, in its order."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHORTCUTS = ROOT / "belle_edge" / "server" / "page" / "static" / "js" / "shortcuts.js"


def test_the_keys_are_those_of_the_page() -> None:
    source = SHORTCUTS.read_text(encoding="utf-8")
    listed = [
        (" + ".join(re.findall(r"[^\s,\"]+", keys.replace("command", "Ctrl"))), text)
        for keys, text in re.findall(r'\[\[([^\]]*)\], t\("([^"]*)"\)\]', source)
    ]
    assert len(listed) >= 10
    document = (ROOT / "docs" / "DESKTOP.md").read_text(encoding="utf-8")
    section = document.partition("## Keys\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|$", section, re.MULTILINE)
    assert rows == listed

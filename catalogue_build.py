"""Compiles the catalogues of translations (.po) to the files that gettext reads (.mo), as a part of every build."""

from __future__ import annotations

import sys
from pathlib import Path


def compile_catalogues(root: Path) -> None:
    """Write each .mo beside its .po, below the repository `root`. Ends the process where Babel is missing."""
    try:
        from babel.messages.mofile import write_mo
        from babel.messages.pofile import read_po
    except ImportError:
        sys.exit("[build] Babel was not found, it compiles the translations: pip install babel")
    for source in sorted((root / "belle_edge" / "languages" / "catalogues").rglob("*.po")):
        with source.open("rb") as file:
            catalogue = read_po(file)
        compiled = source.with_suffix(".mo.part")
        with compiled.open("wb") as file:
            write_mo(file, catalogue)
        compiled.replace(source.with_suffix(".mo"))
